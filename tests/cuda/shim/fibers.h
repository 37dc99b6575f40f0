// A block of CUDA threads as coroutines on one host thread. Which of the ready ones runs next is random.

#pragma once

#include <ucontext.h>

#include <memory>
#include <random>
#include <vector>

static ThreadIndex threadIdx, blockIdx;
static std::mt19937 schedule;

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#else
inline void __sanitizer_start_switch_fiber(void **, const void *, size_t) {}
inline void __sanitizer_finish_switch_fiber(void *, const void **, size_t *) {}
#endif

namespace fibers {

constexpr size_t STACK = 256 * 1024;
enum class State { READY, WAITING, DONE };

struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack{new char[STACK]};
    void *shadow = nullptr;  // the address sanitizer's notes on this stack
    State state = State::DONE;
    Barrier barrier = Barrier::WARP;
};

static std::vector<Fiber> all;
static ucontext_t scheduler;
static const void *scheduler_stack;
static size_t scheduler_size;
static const std::function<void()> *body;

inline void back_to_scheduler(Fiber &fiber) {
    const bool done = fiber.state == State::DONE;
    __sanitizer_start_switch_fiber(done ? nullptr : &fiber.shadow, scheduler_stack, scheduler_size);
    swapcontext(&fiber.context, &scheduler);
    __sanitizer_finish_switch_fiber(fiber.shadow, &scheduler_stack, &scheduler_size);
}

inline void enter() {
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_size);
    Fiber &fiber = all[threadIdx.x];
    (*body)();
    fiber.state = State::DONE;
    back_to_scheduler(fiber);
}

inline void resume(unsigned thread) {
    Fiber &fiber = all[thread];
    threadIdx.x = thread;
    void *shadow = nullptr;
    __sanitizer_start_switch_fiber(&shadow, fiber.stack.get(), STACK);
    swapcontext(&scheduler, &fiber.context);
    __sanitizer_finish_switch_fiber(shadow, nullptr, nullptr);
}

// Lets a block whose threads have all arrived at its barrier go on.
inline void release_block() {
    for (const Fiber &fiber : all)
        if (fiber.state != State::WAITING || fiber.barrier != Barrier::BLOCK) return;
    for (Fiber &fiber : all) fiber.state = State::READY;
}

// Lets a warp whose 32 lanes have all arrived at one barrier go on.
inline void release_warps() {
    for (size_t first = 0; first < all.size(); first += WARP_SIZE) {
        unsigned waiting = 0, done = 0;
        bool alike = true;
        for (size_t i = first; i < first + WARP_SIZE; ++i) {
            waiting += all[i].state == State::WAITING;
            done += all[i].state == State::DONE;
            alike = alike && (all[i].state != State::WAITING || all[i].barrier == all[first].barrier);
        }
        if (waiting && done) fault("a lane left the kernel while its warp waits");
        if (waiting < WARP_SIZE) continue;
        if (!alike) fault("lanes of one warp wait at different barriers");
        if (all[first].barrier == Barrier::BLOCK) continue;
        for (size_t i = first; i < first + WARP_SIZE; ++i) all[i].state = State::READY;
    }
}

}  // namespace fibers

inline void wait_for_warp(Barrier barrier) {
    const unsigned thread = threadIdx.x;
    fibers::Fiber &fiber = fibers::all[thread];
    fiber.state = fibers::State::WAITING;
    fiber.barrier = barrier;
    fibers::back_to_scheduler(fiber);
}

inline void wait_for_block() { wait_for_warp(Barrier::BLOCK); }

inline void run_block(unsigned block, unsigned threads, const std::function<void()> &body) {
    using namespace fibers;
    if (all.size() != threads) all = std::vector<Fiber>(threads);
    fibers::body = &body;
    blockIdx.x = block;
    for (Fiber &fiber : all) {
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = STACK;
        fiber.context.uc_link = nullptr;
        fiber.state = State::READY;
        makecontext(&fiber.context, enter, 0);
    }
    std::vector<unsigned> ready;
    while (true) {
        ready.clear();
        for (unsigned i = 0; i < threads; ++i)
            if (all[i].state == State::READY) ready.push_back(i);
        if (ready.empty()) {
            for (const Fiber &fiber : all)
                if (fiber.state != State::DONE) fault("threads wait at a barrier that others do not reach");
            return;
        }
        std::shuffle(ready.begin(), ready.end(), schedule);
        for (unsigned thread : ready) resume(thread);
        release_warps();
        release_block();
    }
}
