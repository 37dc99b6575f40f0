// What cuda/gpu/instructions.cuh does on a GPU, in plain C++.

#pragma once

#define SIFA_INSTRUCTIONS
#define SIFA_TENSOR_CORES 1

inline float as_float(unsigned bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline unsigned as_bits(float value) {
    unsigned bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

inline float half_to_float(unsigned short half) {
    const float magnitude = as_float((half & 0x7fffu) << 13) * 5.192296858534828e33f;  // 2^112
    const unsigned special = magnitude >= 65536.0f ? 0x7f800000u : 0u;
    return as_float(as_bits(magnitude) | special | ((half & 0x8000u) << 16));
}

inline unsigned short float_to_half(float value) {
    const unsigned bits = as_bits(value), magnitude = bits & 0x7fffffffu;
    unsigned half;
    if (magnitude > 0x7f800000u)
        half = 0x7e00u;
    else if (magnitude >= 0x477ff000u)
        half = 0x7c00u;
    else if (magnitude < 0x38800000u)
        half = as_bits(as_float(magnitude) + 0.5f) - 0x3f000000u;
    else
        half = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
    return (unsigned short)(half | ((bits >> 16) & 0x8000u));
}

inline unsigned short float_to_brain(float value) {
    const unsigned bits = as_bits(value);
    return (unsigned short)(value != value ? 0x7fc0u : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

template <bool BRAIN>
inline unsigned join(float first, float second) {
    const unsigned low = BRAIN ? float_to_brain(first) : float_to_half(first);
    return unsigned(BRAIN ? float_to_brain(second) : float_to_half(second)) << 16 | low;
}

template <class T>
inline void settle(T &) {}

inline unsigned pick_bytes(unsigned low, unsigned high, unsigned which) {
    const uint64_t both = (uint64_t(high) << 32) | low;
    unsigned picked = 0;
    for (int byte = 0; byte < 4; ++byte) picked |= unsigned(both >> (which >> 4 * byte & 7) * 8 & 0xff) << 8 * byte;
    return picked;
}

struct Product {
    float of[4];
};

template <bool BRAIN>
inline Product multiply_matrices(const unsigned (&a)[4], const unsigned (&b)[2], const Product &more) {
    static unsigned rows[1024][4], columns[1024][2];
    const unsigned thread = threadIdx.x, warp = thread / 32 * 32, group = thread % 32 / 4, member = thread % 4;
    std::memcpy(rows[thread], a, sizeof a);
    std::memcpy(columns[thread], b, sizeof b);
    wait_for_warp(Barrier::MATRIX);
    const auto number = [](unsigned pair, unsigned which) {
        const auto bits = (unsigned short)(which ? pair >> 16 : pair & 0xffffu);
        return BRAIN ? as_float(unsigned(bits) << 16) : half_to_float(bits);
    };
    Product sum = more;
    for (unsigned entry = 0; entry < 4; ++entry) {
        const unsigned row = entry / 2, column = 2 * member + entry % 2;
        for (unsigned k = 0; k < 16; ++k) {
            const unsigned owner = k % 8 / 2, half = k / 8;
            sum.of[entry] += number(rows[warp + 4 * group + owner][row + 2 * half], k % 2) *
                             number(columns[warp + 4 * column + owner][half], k % 2);
        }
    }
    wait_for_warp(Barrier::MATRIX);
    return sum;
}

inline void raise(unsigned char *flag) { __atomic_store_n(flag, (unsigned char)1, __ATOMIC_RELAXED); }
