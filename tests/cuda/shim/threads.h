// A block of CUDA threads as threads of the host, so that the thread sanitizer sees their races. Tiny problems only.

#pragma once

#include <pthread.h>

#include <random>
#include <thread>
#include <vector>

static thread_local ThreadIndex threadIdx, blockIdx;
static std::mt19937 schedule;

namespace threads {

static std::vector<pthread_barrier_t> warps;
static pthread_barrier_t block;

}  // namespace threads

inline void wait_for_warp(Barrier) { pthread_barrier_wait(&threads::warps[threadIdx.x / WARP_SIZE]); }

inline void wait_for_block() { pthread_barrier_wait(&threads::block); }

inline void run_block(unsigned block, unsigned count, const std::function<void()> &body) {
    threads::warps = std::vector<pthread_barrier_t>(count / WARP_SIZE);
    for (pthread_barrier_t &warp : threads::warps) pthread_barrier_init(&warp, nullptr, WARP_SIZE);
    pthread_barrier_init(&threads::block, nullptr, count);
    std::vector<std::thread> running;
    for (unsigned i = 0; i < count; ++i)
        running.emplace_back([&body, block, i] {
            threadIdx.x = i;
            blockIdx.x = block;
            body();
        });
    for (std::thread &thread : running) thread.join();
    for (pthread_barrier_t &warp : threads::warps) pthread_barrier_destroy(&warp);
    pthread_barrier_destroy(&threads::block);
}
