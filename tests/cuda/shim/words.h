// CUDA's words for g++: lets the kernels in cuda/gpu compile as they are and run on the host, one block after the other.
//
// Two engines: FIBERS runs a block's threads as coroutines in a random order that changes at every barrier, for use
// under the address and undefined-behaviour sanitizers; THREADS runs them as real threads, for the thread sanitizer.
// Neither says anything about speed, nor about the memory ordering of a real GPU.

#pragma once

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(threads)

struct ThreadIndex {
    unsigned x;
};

enum class Barrier { SHUFFLE, WARP };

constexpr unsigned WARP_SIZE = 32;

[[noreturn]] inline void fault(const char *what) {
    std::fprintf(stderr, "KERNEL FAULT: %s\n", what);
    std::exit(97);
}

#ifdef FIBERS
#include "fibers.h"
#else
#include "threads.h"
#endif

inline void __syncwarp() { wait_for_warp(Barrier::WARP); }

inline float __shfl_xor_sync(unsigned mask, float value, int step, int lanes) {
    static float slots[1024];
    if (mask != 0xffffffffu) fault("a shuffle names fewer than 32 lanes");
    if (step >= lanes) fault("a shuffle reaches past its group of lanes");
    slots[threadIdx.x] = value;
    wait_for_warp(Barrier::SHUFFLE);
    const float other = slots[threadIdx.x ^ unsigned(step)];
    wait_for_warp(Barrier::SHUFFLE);
    return other;
}

inline void atomicAdd(float *to, float value) {
    uint32_t *word = reinterpret_cast<uint32_t *>(to);
    uint32_t before = __atomic_load_n(word, __ATOMIC_RELAXED), after;
    do {
        float sum;
        std::memcpy(&sum, &before, sizeof sum);
        sum += value;
        std::memcpy(&after, &sum, sizeof sum);
    } while (!__atomic_compare_exchange_n(word, &before, after, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}
