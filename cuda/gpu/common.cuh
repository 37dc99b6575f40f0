// What the GPU kernels share: storage types, constants, and which lane works where. No toolkit header is needed.
//
// n image, p place, c channel, i tap; C channels, K taps, P = height*width places. A map is [P][C] per image, offsets
// [P][K][2] as (dy, dx), weights [P][K]. Sums and coordinates are float.
//
// LANES lanes of a warp share one place. They read its channels in octets, eight lanes that cover 128 bytes at 16 bytes
// each: chunk j of a lane is the VECTOR channels from j*STEP + part*VECTOR on, j = 0..CHUNKS-1. Lanes whose place lies past the
// end do the last place's work again without writing, because all 32 lanes must take part in a shuffle.

#pragma once

#ifndef SIFA_STORAGE     // compiled once per problem shape, with these constants:
#define SIFA_STORAGE 0   // of maps and weights: 0 float, 1 half, 2 bfloat16
#define SIFA_OFFSET 0    // of offsets: 0 float, else as the maps
#define SIFA_KERNEL 3    // side of the square of taps
#define SIFA_SOFTMAX 0   // weights are softmax over taps
#define SIFA_CHANNELS 128
#define SIFA_VECTOR 4    // channels per load
#define SIFA_LANES 8     // lanes per place: 8, 16 or 32
#define SIFA_ROWS 7      // rows of a tile of sifa_gradient_of_memory
#define SIFA_WIDE 0      // whether element numbers may exceed 31 bits
#define SIFA_THREADS 128
#endif

#include "instructions.cuh"
#include "problem.h"

namespace {

constexpr int KERNEL = SIFA_KERNEL, K = KERNEL * KERNEL, CHANNELS = SIFA_CHANNELS;
constexpr int VECTOR = SIFA_VECTOR, LANES = SIFA_LANES;
constexpr int STEP = VECTOR * LANES, CHUNKS = (CHANNELS + STEP - 1) / STEP;
constexpr int NUMBERS = CHUNKS * VECTOR;  // of one map in one lane's registers
constexpr bool FULL = NUMBERS * LANES == CHANNELS;
constexpr int OCTETS = LANES / 8, PLACES = 32 / LANES;  // octets per place, places per warp
constexpr int WARPS = SIFA_THREADS / 32;
constexpr int TAPS = K <= 9 ? K : KERNEL;  // whose sampling points are held at once

#if SIFA_WIDE
typedef long long Index;
typedef unsigned long long Unsigned;
#else
typedef int Index;
typedef unsigned Unsigned;
#endif

#if SIFA_STORAGE == 0
typedef float Store;
__device__ float load(Store value) { return value; }
__device__ void narrow(float value, Store &to) { to = value; }
#elif SIFA_STORAGE == 1
struct Store {
    unsigned short bits;
};
__device__ float load(Store value) { return half_to_float(value.bits); }
__device__ void narrow(float value, Store &to) { to.bits = float_to_half(value); }
#else
struct Store {
    unsigned short bits;
};
__device__ float load(Store value) { return as_float((unsigned)value.bits << 16); }
__device__ void narrow(float value, Store &to) { to.bits = float_to_brain(value); }
#endif

// Whether samples are blended on the tensor cores, which read pairs of 16-bit numbers.
#define SIFA_PAIRS (SIFA_STORAGE != 0 && SIFA_VECTOR >= 2 && SIFA_TENSOR_CORES)

#if SIFA_PAIRS
// The numbers of a pair.
__device__ float lower(unsigned pair) { return load(Store{(unsigned short)(pair & 0xffffu)}); }
__device__ float upper(unsigned pair) { return load(Store{(unsigned short)(pair >> 16)}); }
#endif

#if SIFA_OFFSET
typedef Store Offset;
#else
typedef float Offset;
#if SIFA_STORAGE != 0
__device__ float load(float value) { return value; }
__device__ void narrow(float value, float &to) { to = value; }
#endif
#endif

struct alignas(sizeof(Store) * VECTOR) Pack {
    Store value[VECTOR];
};

// Places in the order in which they are worked on: strips of `strip` columns from left to right, each row by row, so
// that places whose turn comes together lie in a compact patch and sample the same cells.
__device__ void locate(const Problem &problem, unsigned turn, int &row, int &column) {
    const unsigned left = turn / (unsigned)(problem.strip * problem.height) * problem.strip;
    const unsigned width = min((unsigned)problem.strip, problem.width - left);
    const unsigned within = turn - left * problem.height, down = within / width;
    row = (int)down;
    column = (int)(left + within - down * width);
}

// The place that this lane works on, and its part of it.
struct Here {
    int lane, slot, part;  // slot: which of the warp's places
    int image, turn, row, column;
    Index place;  // image * P + row * width + column
    bool active;

    __device__ explicit Here(const Problem &problem) {
        lane = (int)threadIdx.x % 32;
        const int octet = lane % 4, places = problem.height * problem.width;
        slot = octet / OCTETS;
        part = octet % OCTETS * 8 + lane / 4;
        const Index last = (Index)problem.images * places - 1;
        const Index number = ((Index)blockIdx.x * WARPS + threadIdx.x / 32) * PLACES + slot;
        active = number <= last;
        image = (int)((Unsigned)min(number, last) / (unsigned)places);
        turn = (int)(min(number, last) - (Index)image * places);
        locate(problem, turn, row, column);
        place = (Index)image * places + row * problem.width + column;
    }

    // This lane's first channel of a place whose channels begin at `place`. Its chunks are STEP channels apart.
    template <class Number>
    __device__ Number *mine(Number *place) const {
        return place + part * VECTOR;
    }
    __device__ bool holds(int chunk) const { return FULL || chunk * STEP + part * VECTOR < CHANNELS; }

    __device__ void read(const Store *mine, float (&numbers)[NUMBERS]) const {
#pragma unroll
        for (int j = 0; j < CHUNKS; ++j) {
            Pack pack{};
            if (holds(j)) pack = *reinterpret_cast<const Pack *>(mine + j * STEP);
#pragma unroll
            for (int v = 0; v < VECTOR; ++v) numbers[j * VECTOR + v] = load(pack.value[v]);
        }
    }

    __device__ void write(const float (&numbers)[NUMBERS], Store *mine) const {
#pragma unroll
        for (int j = 0; j < CHUNKS; ++j) {
            Pack pack;
#pragma unroll
            for (int v = 0; v < VECTOR; ++v) narrow(numbers[j * VECTOR + v], pack.value[v]);
            if (active && holds(j)) *reinterpret_cast<Pack *>(mine + j * STEP) = pack;
        }
    }
};

// Over the lanes of a place.
__device__ float sum_over_lanes(float value) {
#pragma unroll
    for (int step = 4; step < 32; step *= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
#pragma unroll
    for (int step = 1; step < OCTETS; step *= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
    return value;
}

// Two sums in turns, so that a rounding of one does not wait for the other.
__device__ float dot_product(const float (&a)[NUMBERS], const float (&b)[NUMBERS]) {
    float even = 0, odd = 0;
#pragma unroll
    for (int h = 0; h < NUMBERS; ++h) (h % 2 ? odd : even) += a[h] * b[h];
    return even + odd;
}

}  // namespace
