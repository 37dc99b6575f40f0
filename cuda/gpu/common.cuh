// What the GPU kernels share: storage types, sampling points and which thread works where. No toolkit header is needed.
//
// n image, p place, c channel, i tap, g channel group; C channels, K taps, G groups, P = height*width places.
// A map is [P][C] per image, offsets [P][K][2] as (dy, dx) in float, weights [P][G][K]. Sums and coordinates are float.
//
// LANES neighbouring threads of a warp share one place: thread `lane` holds channels (j*LANES + lane)*VECTOR onwards of
// chunk j = 0..CHUNKS-1 of a group. Lanes of places past the end go through every step without reading or writing,
// because all 32 threads must take part in a shuffle. Compiled once per problem shape, with these constants:

#pragma once

#ifndef SIFA_STORAGE
#define SIFA_STORAGE 0  // 0 float, 1 half, 2 bfloat16
#define SIFA_KERNEL 3   // side of the square of taps
#define SIFA_SOFTMAX 0  // weights are softmax over taps
#define SIFA_ORDERED 0  // gradients are summed in a fixed order, by sifa_scatter
#define SIFA_VECTOR 4   // channels per load
#define SIFA_LANES 32   // threads per place: 8, 16 or 32
#define SIFA_CHUNKS 1   // loads per thread that cover a group
#define SIFA_THREADS 128
#endif

namespace {

constexpr int K = SIFA_KERNEL * SIFA_KERNEL, VECTOR = SIFA_VECTOR, LANES = SIFA_LANES, CHUNKS = SIFA_CHUNKS;
constexpr int PLACES = SIFA_THREADS / LANES;  // per block
// Chunks that are held in registers at once. Where all of a group fits, each sample is read once and used twice.
constexpr int HELD = CHUNKS * VECTOR <= 16 ? CHUNKS : 16 / VECTOR;
constexpr bool FUSED = HELD == CHUNKS;

struct Sizes {
    long long images, channels, height, width, groups, dilation;
    long long query_stride, memory_stride, offset_stride;  // elements between images
    float factor;
};

__device__ float bits_to_float(unsigned bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#if SIFA_STORAGE != 0
__device__ unsigned float_to_bits(float value) {
    unsigned bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}
#endif

#if SIFA_STORAGE == 0
typedef float Store;
__device__ float load(Store value) { return value; }
__device__ Store narrow(float value) { return value; }
#else
struct Store {
    unsigned short bits;
};
#endif

#if SIFA_STORAGE == 1
__device__ float load(Store value) {
#ifdef __CUDA_ARCH__
    float wide;
    asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(value.bits));
    return wide;
#else
    const float magnitude = bits_to_float((value.bits & 0x7fffu) << 13) * 5.192296858534828e33f;  // 2^112
    const unsigned special = magnitude >= 65536.0f ? 0x7f800000u : 0u;
    return bits_to_float(float_to_bits(magnitude) | special | ((value.bits & 0x8000u) << 16));
#endif
}
__device__ Store narrow(float value) {
    Store result;
#ifdef __CUDA_ARCH__
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
#else
    const unsigned bits = float_to_bits(value), magnitude = bits & 0x7fffffffu;
    unsigned half;
    if (magnitude > 0x7f800000u)
        half = 0x7e00u;
    else if (magnitude >= 0x477ff000u)
        half = 0x7c00u;
    else if (magnitude < 0x38800000u)
        half = float_to_bits(bits_to_float(magnitude) + 0.5f) - 0x3f000000u;
    else
        half = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
    result.bits = (unsigned short)(half | ((bits >> 16) & 0x8000u));
#endif
    return result;
}
#elif SIFA_STORAGE == 2
__device__ float load(Store value) { return bits_to_float((unsigned)value.bits << 16); }
__device__ Store narrow(float value) {
    const unsigned bits = float_to_bits(value);
    Store result;
    result.bits = (unsigned short)(value != value ? 0x7fc0u : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
    return result;
}
#endif

struct alignas(sizeof(Store) * VECTOR) Pack {
    Store value[VECTOR];
};

// VECTOR channels as numbers to compute with.
struct Numbers {
    float value[VECTOR];

    __device__ void clear() {
#pragma unroll
        for (int v = 0; v < VECTOR; ++v) value[v] = 0;
    }
    __device__ void read(const Store *from, bool valid) {
        if (!valid) return clear();
        const Pack pack = *reinterpret_cast<const Pack *>(from);
#pragma unroll
        for (int v = 0; v < VECTOR; ++v) value[v] = load(pack.value[v]);
    }
    __device__ void write(Store *to) const {
        Pack pack;
#pragma unroll
        for (int v = 0; v < VECTOR; ++v) pack.value[v] = narrow(value[v]);
        *reinterpret_cast<Pack *>(to) = pack;
    }
};

__device__ void add_atomically(float *to, const float *values) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900 && SIFA_VECTOR % 4 == 0
#pragma unroll
    for (int v = 0; v < VECTOR; v += 4)
        asm volatile("red.relaxed.gpu.global.add.v4.f32 [%0], {%1, %2, %3, %4};"
                     :
                     : "l"(__cvta_generic_to_global(to + v)), "f"(values[v]), "f"(values[v + 1]), "f"(values[v + 2]),
                       "f"(values[v + 3])
                     : "memory");
#else
#pragma unroll
    for (int v = 0; v < VECTOR; ++v) atomicAdd(to + v, values[v]);
#endif
}

// Where one sampling point lies: its four corners (top, left), (top, right), (bottom, left), (bottom, right).
struct Point {
    long long row[4];  // first channel of each corner
    float down, right;
    bool valid[4];

    __device__ Point(const Sizes &sizes, long long at_row, long long at_column, int tap, const float *offset) {
        const long long tap_y = (tap / SIFA_KERNEL - SIFA_KERNEL / 2) * sizes.dilation;
        const long long tap_x = (tap % SIFA_KERNEL - SIFA_KERNEL / 2) * sizes.dilation;
        const float y = (float)(at_row + tap_y) + offset[2 * tap];
        const float x = (float)(at_column + tap_x) + offset[2 * tap + 1];
        // Comparisons with NaN are false: NaN is outside, and only numbers within the map become integers.
        const bool inside = y >= -1 && y < (float)sizes.height && x >= -1 && x < (float)sizes.width;
        const float floor_y = inside ? floorf(y) : 0, floor_x = inside ? floorf(x) : 0;
        down = inside ? y - floor_y : 0;
        right = inside ? x - floor_x : 0;
#pragma unroll
        for (int corner = 0; corner < 4; ++corner) {
            const long long cell_y = (long long)floor_y + (corner >> 1), cell_x = (long long)floor_x + (corner & 1);
            valid[corner] = inside && cell_y >= 0 && cell_y < sizes.height && cell_x >= 0 && cell_x < sizes.width;
            row[corner] = valid[corner] ? (cell_y * sizes.width + cell_x) * sizes.channels : 0;
        }
    }

    __device__ float weight(int corner) const {
        return (corner >> 1 ? down : 1 - down) * (corner & 1 ? right : 1 - right);
    }

    __device__ void sample(const Store *memory, bool held, Numbers &value) const {
        value.clear();
#pragma unroll
        for (int corner = 0; corner < 4; ++corner) {
            Numbers cell;
            cell.read(memory + row[corner], held && valid[corner]);
#pragma unroll
            for (int v = 0; v < VECTOR; ++v) value.value[v] += weight(corner) * cell.value[v];
        }
    }
};

// The place that this thread works on, and its part of it.
struct Here {
    int lane, slot;
    long long image, place, row, column, index;  // index = image * P + place
    bool active;

    __device__ Here(const Sizes &sizes) {
        const long long places = sizes.height * sizes.width;
        lane = (int)threadIdx.x % LANES;
        slot = (int)threadIdx.x / LANES;
        index = (long long)blockIdx.x * PLACES + slot;
        active = index < sizes.images * places;
        if (!active) index = 0;
        image = index / places;
        place = index % places;
        row = place / sizes.width;
        column = place % sizes.width;
    }

    // First channel of chunk j within a group, and whether the group reaches that far.
    __device__ long long channel(int j) const { return ((long long)j * LANES + lane) * VECTOR; }
    __device__ bool holds(int j, long long width) const { return active && channel(j) < width; }
};

__device__ float sum_over_lanes(float value) {
    for (int step = LANES / 2; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step, LANES);
    return value;
}

}  // namespace
