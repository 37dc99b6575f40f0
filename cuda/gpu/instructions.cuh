// The few instructions that C++ has no words for. No toolkit header is needed. Tests that run the kernels on a CPU bring
// their own file of these functions and define the macro below, so that nothing here is for the host.

#ifndef SIFA_INSTRUCTIONS
#define SIFA_INSTRUCTIONS

// Whether the tensor cores multiply 16 x 16 matrices of 16-bit numbers: from Ampere on.
#define SIFA_TENSOR_CORES (__CUDA_ARCH__ >= 800)

__device__ __forceinline__ float half_to_float(unsigned short bits) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}

__device__ __forceinline__ unsigned short float_to_half(float value) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}

__device__ __forceinline__ unsigned short float_to_brain(float value) {
    unsigned short bits;
#if SIFA_TENSOR_CORES
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
#else
    const unsigned word = __float_as_uint(value);
    bits = (unsigned short)(value != value ? 0x7fc0u : (word + 0x7fffu + ((word >> 16) & 1u)) >> 16);
#endif
    return bits;
}

__device__ __forceinline__ float as_float(unsigned bits) { return __uint_as_float(bits); }

// Keeps a number in a register: left to itself the compiler would rather convert or add it up again at every use.
__device__ __forceinline__ void settle(float &number) { asm volatile("" : "+f"(number)); }

template <class T>
__device__ __forceinline__ void settle(T *&address) {
    asm volatile("" : "+l"(address));
    __builtin_assume(__isGlobal(address));
}

// Two numbers as 16-bit ones in one word, the first in the lower half.
template <bool BRAIN>
__device__ __forceinline__ unsigned join(float first, float second) {
    unsigned pair;
#if SIFA_TENSOR_CORES
    if constexpr (BRAIN)
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
    else
        asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
#else
    const unsigned short one = BRAIN ? float_to_brain(first) : float_to_half(first);
    pair = (BRAIN ? float_to_brain(second) : float_to_half(second)) << 16 | one;
#endif
    return pair;
}

// One lane's four numbers of a 16 x 8 matrix.
struct Product {
    float of[4];
};

// Bytes of `low` and `high`, picked by the digits of `which`: 0x5410 joins the lower halves, 0x7632 the upper ones.
__device__ __forceinline__ unsigned pick_bytes(unsigned low, unsigned high, unsigned which) {
    return __byte_perm(low, high, which);
}

// a b + more on the tensor cores: a is 16 x 16, b 16 x 8, the rest 16 x 8, spread over the warp as for PTX's m16n8k16.
template <bool BRAIN>
__device__ __forceinline__ Product multiply_matrices(const unsigned (&a)[4], const unsigned (&b)[2], const Product &more) {
    Product sum;
    if constexpr (BRAIN)
        asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
            "{%10, %11, %12, %13};"
            : "=f"(sum.of[0]), "=f"(sum.of[1]), "=f"(sum.of[2]), "=f"(sum.of[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(more.of[0]), "f"(more.of[1]),
              "f"(more.of[2]), "f"(more.of[3]));
    else
        asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
            "{%10, %11, %12, %13};"
            : "=f"(sum.of[0]), "=f"(sum.of[1]), "=f"(sum.of[2]), "=f"(sum.of[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(more.of[0]), "f"(more.of[1]),
              "f"(more.of[2]), "f"(more.of[3]));
    return sum;
}

// Sets a flag that many threads set at once.
__device__ __forceinline__ void raise(unsigned char *flag) {
    asm volatile("st.relaxed.gpu.global.u8 [%0], 1;" : : "l"(__cvta_generic_to_global(flag)) : "memory");
}

#endif
