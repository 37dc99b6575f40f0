// CUDA's words for g++: lets the kernels in cuda/gpu compile as they are and run on the host, one block after the other.
//
// Two engines: FIBERS runs a block's threads as coroutines in a random order that changes at every barrier, for use
// under the address and undefined-behaviour sanitizers; THREADS runs them as real threads, for the thread sanitizer.
// Neither says anything about speed, nor about the memory ordering of a real GPU.

#ifndef SHIM_WORDS
#define SHIM_WORDS

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <tuple>
#include <utility>

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(...)
#define __forceinline__ inline

struct ThreadIndex {
    unsigned x;
};

enum class Barrier { SHUFFLE, MATRIX, WARP, BLOCK };

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
inline void __syncthreads() { wait_for_block(); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
using std::max;
using std::min;

// What `lane` of this thread's warp gives for `value`.
template <class T>
inline T exchange(unsigned mask, T value, unsigned lane) {
    static T slots[1024];
    if (mask != 0xffffffffu) fault("a shuffle names fewer than 32 lanes");
    if (lane >= WARP_SIZE) fault("a shuffle reaches past its warp");
    slots[threadIdx.x] = value;
    wait_for_warp(Barrier::SHUFFLE);
    const T other = slots[threadIdx.x / WARP_SIZE * WARP_SIZE + lane];
    wait_for_warp(Barrier::SHUFFLE);
    return other;
}

template <class T>
inline T __shfl_sync(unsigned mask, T value, int lane) {
    return exchange(mask, value, unsigned(lane));
}

template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int step) {
    return exchange(mask, value, threadIdx.x % WARP_SIZE ^ unsigned(step));
}

inline unsigned __ballot_sync(unsigned mask, bool vote) {
    unsigned votes = 0;
    for (unsigned lane = 0; lane < WARP_SIZE; ++lane) votes |= unsigned(exchange(mask, vote, lane)) << lane;
    return votes;
}

#include "instructions.h"

#endif
