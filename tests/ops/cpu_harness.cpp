// Runs the CPU kernels on one problem read from a file, on arrays allocated to the byte, for the sanitizers:
// cpu_harness PROBLEM, which holds ten whole numbers of `Problem`, its factor, then query, memory, offset, gradients.

#include <cstdio>
#include <vector>

#include "attention.h"

#ifndef STORE
#define STORE float
#endif

template <class T>
struct Array {
    size_t count;
    T *data;
    explicit Array(int64_t size) : count(size_t(size)), data(new T[size_t(size)]()) {}
    Array(const Array &) = delete;
    ~Array() { delete[] data; }
    bool read(FILE *file) { return std::fread(static_cast<void *>(data), sizeof(T), count, file) == count; }
};

int main(int count, char **words) {
    FILE *file = count == 2 ? std::fopen(words[1], "rb") : nullptr;
    Problem problem;
    if (!file || std::fread(&problem, sizeof problem, 1, file) != 1) return 2;
    const int64_t places = problem.images * problem.places(), maps = places * problem.channels;
    const int64_t all_weights = places * problem.taps(), offsets = places * 2 * problem.taps();
    Array<STORE> query(maps), grad(maps), grad_weights(all_weights);
    Array<float> memory(maps), offset(offsets);
    if (!query.read(file) || !memory.read(file) || !offset.read(file) || !grad.read(file) || !grad_weights.read(file))
        return 3;
    std::fclose(file);
    Array<STORE> aggregate(maps), weights(all_weights), grad_query(maps);
    Array<float> grad_memory(maps), grad_offset(offsets), grad_logits(all_weights);
    if (forward<float, STORE>(problem, query.data, memory.data, offset.data, aggregate.data, weights.data)) return 4;
    Gradients<float, STORE> gradients{grad.data,        grad_weights.data, weights.data,    grad_query.data,
                                      grad_memory.data, grad_offset.data,  grad_logits.data};
    if (backward<float, STORE>(problem, query.data, memory.data, offset.data, gradients)) return 5;
    gradients.of_weights = nullptr, gradients.query = nullptr, gradients.offset = nullptr;
    if (backward<float, STORE>(problem, query.data, memory.data, offset.data, gradients)) return 6;
    double sum = 0;
    for (int64_t i = 0; i < maps; ++i) sum += double(load_one(aggregate.data + i)) + double(grad_memory.data[i]);
    std::printf("%.6f\n", sum);
    return 0;
}
