// The SIFA operator's forward on GPUs: sample, dot product and weighted sum in one pass. Symbols: see common.cuh.

#include "common.cuh"

extern "C" __global__ void __launch_bounds__(SIFA_THREADS)
    sifa_forward(Sizes sizes, const Store *query, const Store *memory, const float *offset, Store *aggregate,
                 Store *weights) {
    __shared__ float logits[PLACES][K];
    const Here here(sizes);
    const long long width = sizes.channels / sizes.groups;
    query += here.image * sizes.query_stride + here.place * sizes.channels;
    memory += here.image * sizes.memory_stride;
    offset += here.image * sizes.offset_stride + here.place * 2 * K;
    aggregate += here.index * sizes.channels;
    weights += here.index * sizes.groups * K;
    for (long long g = 0; g < sizes.groups; ++g) {
        float *logit = logits[here.slot];
        float largest = bits_to_float(0xff800000u), total = 0;  // -infinity
        Numbers q[HELD], sum[HELD];
        if (FUSED) {
            // One reading of each sample: softmax keeps a running maximum and rescales what it has when that grows.
#pragma unroll
            for (int j = 0; j < HELD; ++j) q[j].read(query + here.channel(j), here.holds(j, width)), sum[j].clear();
#pragma unroll 1
            for (int i = 0; i < K; ++i) {
                const Point point(sizes, here.row, here.column, i, offset);
                Numbers sample[HELD];
                float dot = 0;
#pragma unroll
                for (int j = 0; j < HELD; ++j) {
                    point.sample(memory + here.channel(j), here.holds(j, width), sample[j]);
#pragma unroll
                    for (int v = 0; v < VECTOR; ++v) dot += q[j].value[v] * sample[j].value[v];
                }
                float weight = sizes.factor * sum_over_lanes(dot), keep = 1;
                if (here.lane == 0) logit[i] = weight;
                if (SIFA_SOFTMAX) {
                    const float now = fmaxf(largest, weight);
                    keep = expf(largest - now);
                    weight = expf(weight - now);
                    total = total * keep + weight;
                    largest = now;
                }
#pragma unroll
                for (int j = 0; j < HELD; ++j)
#pragma unroll
                    for (int v = 0; v < VECTOR; ++v)
                        sum[j].value[v] = sum[j].value[v] * keep + weight * sample[j].value[v];
            }
        } else {
            for (int i = here.lane; i < K; i += LANES) logit[i] = 0;
            __syncwarp();
            for (int first = 0; first < CHUNKS; first += HELD) {
#pragma unroll
                for (int j = 0; j < HELD; ++j)
                    q[j].read(query + here.channel(first + j), here.holds(first + j, width));
#pragma unroll 1
                for (int i = 0; i < K; ++i) {
                    const Point point(sizes, here.row, here.column, i, offset);
                    float dot = 0;
#pragma unroll
                    for (int j = 0; j < HELD; ++j) {
                        Numbers sample;
                        point.sample(memory + here.channel(first + j), here.holds(first + j, width), sample);
#pragma unroll
                        for (int v = 0; v < VECTOR; ++v) dot += q[j].value[v] * sample.value[v];
                    }
                    dot = sum_over_lanes(dot);
                    if (here.lane == 0) logit[i] += sizes.factor * dot;
                }
            }
        }
        __syncwarp();
        if (SIFA_SOFTMAX && !FUSED) {
            for (int i = 0; i < K; ++i) largest = fmaxf(largest, logit[i]);
            for (int i = 0; i < K; ++i) total += expf(logit[i] - largest);
        }
        for (int first = 0; first < CHUNKS; first += HELD) {
            if (!FUSED) {
#pragma unroll
                for (int j = 0; j < HELD; ++j) sum[j].clear();
#pragma unroll 1
                for (int i = 0; i < K; ++i) {
                    const Point point(sizes, here.row, here.column, i, offset);
                    const float weight = SIFA_SOFTMAX ? expf(logit[i] - largest) : logit[i];
#pragma unroll
                    for (int j = 0; j < HELD; ++j) {
                        Numbers sample;
                        point.sample(memory + here.channel(first + j), here.holds(first + j, width), sample);
#pragma unroll
                        for (int v = 0; v < VECTOR; ++v) sum[j].value[v] += weight * sample.value[v];
                    }
                }
            }
#pragma unroll
            for (int j = 0; j < HELD; ++j) {
                for (int v = 0; SIFA_SOFTMAX && v < VECTOR; ++v) sum[j].value[v] /= total;
                if (here.holds(first + j, width)) sum[j].write(aggregate + here.channel(first + j));
            }
        }
        for (int i = here.lane; i < K && here.active; i += LANES)
            weights[i] = narrow(SIFA_SOFTMAX ? expf(logit[i] - largest) / total : logit[i]);
        __syncwarp();
        query += width, memory += width, aggregate += width, weights += K;
    }
}
