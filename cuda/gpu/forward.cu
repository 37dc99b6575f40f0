// The SIFA operator's forward on GPUs: sample, dot product and weighted sum in one pass. Symbols: see common.cuh.

#include "cells.cuh"

extern "C" __global__ void __launch_bounds__(SIFA_THREADS)
    sifa_forward(Problem problem, const Store *query, const Store *memory, const Offset *offset, Store *aggregate,
                 Store *weights) {
    __shared__ Point all_points[WARPS][PLACES][TAPS];
    __shared__ float all_logits[WARPS][PLACES][K];
    const Here here(problem);
    auto &points = all_points[threadIdx.x / 32];
    float *logits = all_logits[threadIdx.x / 32][here.slot];
    memory = here.mine(memory + here.image * problem.memory_stride);
    settle(memory);
    query += here.image * problem.query_stride + (Index)(here.row * problem.width + here.column) * CHANNELS;

    float q[NUMBERS], sum[NUMBERS] = {};
    here.read(here.mine(query), q);
#pragma unroll
    for (int h = 0; h < NUMBERS; ++h) settle(q[h]);
    // Softmax keeps a running maximum and rescales what it has when that grows, so one reading of each sample will do.
    float largest = as_float(0xff800000u), total = 0;  // -infinity
#pragma unroll 1
    for (int first = 0; first < K; first += TAPS) {
        find_points(problem, here, offset, first, points, [](int, int, const Spot &) {});
#pragma unroll 1
        for (int i = 0; i < TAPS; ++i) {
            const Point &point = points[here.slot][i];
            float sample[NUMBERS];
            Cells(here, memory, point).blend(here, point, sample);
            float weight = problem.factor * sum_over_lanes(dot_product(q, sample));
            if (here.part == 0) logits[first + i] = weight;
            if (SIFA_SOFTMAX) {
                const float now = fmaxf(largest, weight), keep = expf(largest - now);
                weight = expf(weight - now);
                total = total * keep + weight;
                largest = now;
#pragma unroll
                for (int h = 0; h < NUMBERS; ++h) sum[h] *= keep;
            }
#pragma unroll
            for (int h = 0; h < NUMBERS; ++h) sum[h] += weight * sample[h];
        }
    }
    if (SIFA_SOFTMAX) {
#pragma unroll
        for (int h = 0; h < NUMBERS; ++h) sum[h] /= total;
    }
    here.write(sum, here.mine(aggregate + here.place * CHANNELS));
    __syncwarp();
    for (int i = here.part; i < K && here.active; i += LANES)
        narrow(SIFA_SOFTMAX ? expf(logits[i] - largest) / total : logits[i], weights[here.place * K + i]);
}
