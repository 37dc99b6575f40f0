// What one core does at best: loops that only read, or only multiply and add, in the processor's widest vectors.

#include "../../cuda/cpu/numbers.h"

typedef Vector<float, WIDE<float>> Floats;
constexpr int AT_ONCE = 10;  // enough to hide each other's latency

// Reads `count` floats, a multiple of 8 vectors, `repeats` times.
extern "C" void read_floats(const float *numbers, int64_t count, int64_t repeats) {
    for (int64_t repeat = 0; repeat < repeats; ++repeat)
        for (int64_t i = 0; i < count; i += 8 * WIDE<float>)
            for (int j = 0; j < 8; ++j) {
                Floats value = load<WIDE<float>>(numbers + i + j * WIDE<float>);
                asm volatile("" : "+x"(value));  // it has to be there, and nothing more
            }
}

// Multiplies and adds AT_ONCE vectors `repeats` times. Returns how many numbers that are.
extern "C" int64_t multiply_and_add(int64_t repeats) {
    Floats sums[AT_ONCE], factor = Floats() + 0.5f, summand = Floats() + 1.0f;
    for (Floats &sum : sums) sum = summand;
    asm volatile("" : "+x"(factor), "+x"(summand));
    for (int64_t repeat = 0; repeat < repeats; ++repeat)
        for (Floats &sum : sums) sum = sum * factor + summand;
    for (Floats &sum : sums) asm volatile("" : "+x"(sum));
    return repeats * AT_ONCE * WIDE<float>;
}
