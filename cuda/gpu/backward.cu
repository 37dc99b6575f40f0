// The SIFA operator's gradients of query and offset on GPUs, and what the gradient of memory needs besides. Symbols: see
// common.cuh. Samples are read once; twice with softmax, where each gradient depends on all taps. Where nothing depends
// on the weights, `grad_weights` is null; where the gradient of memory is not needed, `reached` is.

#include "cells.cuh"
#include "tiles.cuh"

// Blocks per multiprocessor that registers must allow. Left to itself the compiler spills a few to fit one more.
constexpr int RESIDENT = NUMBERS > 16 ? 2 : 3;

extern "C" __global__ void __launch_bounds__(SIFA_THREADS, RESIDENT)
    sifa_backward(Problem problem, const Store *query, const Store *memory, const Offset *offset, const Store *grad,
                  const Store *grad_weights, const Store *weights, Store *grad_query, Offset *grad_offset,
                  float *grad_logits, unsigned char *reached) {
    __shared__ SlopingPoint all_points[WARPS][PLACES][TAPS];
    __shared__ float all_weights[WARPS][PLACES][K], all_of_weights[WARPS][PLACES][K];
    const Here here(problem);
    const Tiles tiles(problem);
    auto &points = all_points[threadIdx.x / 32];
    float *weight = all_weights[threadIdx.x / 32][here.slot], *of_weight = all_of_weights[threadIdx.x / 32][here.slot];
    memory = here.mine(memory + here.image * problem.memory_stride);
    settle(memory);
    query += here.image * problem.query_stride + (Index)(here.row * problem.width + here.column) * CHANNELS;
    for (int i = here.part; i < K; i += LANES) {
        weight[i] = load(weights[here.place * K + i]);
        of_weight[i] = grad_weights ? load(grad_weights[here.place * K + i]) : 0;
    }
    float q[NUMBERS], d[NUMBERS], sum[NUMBERS] = {}, mean = 0;
    here.read(here.mine(query), q);
    here.read(here.mine(grad + here.place * CHANNELS), d);
#pragma unroll
    for (int h = 0; h < NUMBERS; ++h) settle(q[h]), settle(d[h]);
    if (SIFA_SOFTMAX) {
#pragma unroll 1
        for (int first = 0; first < K; first += TAPS) {
            find_points(problem, here, offset, first, points, [](int, int, const Spot &) {});
#pragma unroll 1
            for (int i = 0; i < TAPS; ++i) {
                float sample[NUMBERS];
                Cells(here, memory, points[here.slot][i]).blend(here, points[here.slot][i], sample);
                const float dot = sum_over_lanes(dot_product(d, sample));
                if (here.part == 0) of_weight[first + i] += dot;
            }
        }
        __syncwarp();
        for (int i = here.part; i < K; i += LANES) mean += weight[i] * of_weight[i];
        mean = sum_over_lanes(mean);
    }
#pragma unroll 1
    for (int first = 0; first < K; first += TAPS) {
        const auto mark = [&](int image, int turn, const Spot &spot) {
            if (reached) tiles.mark(reached, image, turn, spot);
        };
        find_points(problem, here, offset, first, points, mark);
#pragma unroll 1
        for (int i = 0; i < TAPS; ++i) {
            const SlopingPoint &point = points[here.slot][i];
            const Cells cells(here, memory, point);
            float numbers[NUMBERS], slopes[2] = {0, 0}, logit = of_weight[first + i];
            cells.blend(here, point, numbers);
            if (SIFA_SOFTMAX)
                logit = weight[first + i] * (logit - mean);
            else
                logit += sum_over_lanes(dot_product(d, numbers));
            logit *= problem.factor;
#pragma unroll
            for (int h = 0; h < NUMBERS; ++h) {
                sum[h] += logit * numbers[h];
                numbers[h] = weight[first + i] * d[h] + logit * q[h];  // the sample's gradient
            }
            cells.slopes(here, point, numbers, slopes[0], slopes[1]);
            slopes[0] = sum_over_lanes(slopes[0]), slopes[1] = sum_over_lanes(slopes[1]);
            if (here.part == 0 && here.active) {
                const Index tap = here.place * K + first + i;
                grad_logits[tap] = logit;
                narrow(slopes[0], grad_offset[2 * tap]), narrow(slopes[1], grad_offset[2 * tap + 1]);
            }
        }
    }
    here.write(sum, here.mine(grad_query + here.place * CHANNELS));
}
