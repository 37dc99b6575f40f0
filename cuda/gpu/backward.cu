// The SIFA operator's gradients on GPUs. Symbols: see common.cuh.

#include "common.cuh"

// grad_memory is float, zero on entry. With SIFA_ORDERED it is left to sifa_scatter, which needs grad_logits.
extern "C" __global__ void __launch_bounds__(SIFA_THREADS)
    sifa_backward(Sizes sizes, const Store *query, const Store *memory, const float *offset, const Store *grad,
                  const Store *grad_weights, const Store *weights, Store *grad_query, float *grad_memory,
                  float *grad_offset, float *grad_logits) {
    // Of each tap: products of gradient with sample, gradient and query with the sample's derivatives along y and x.
    enum { GRAD_VALUE, GRAD_Y, GRAD_X, QUERY_Y, QUERY_X, PRODUCTS };
    __shared__ float products[PLACES][K][PRODUCTS];
    __shared__ float offset_sums[PLACES][2 * K];
    const Here here(sizes);
    const long long width = sizes.channels / sizes.groups, places = sizes.height * sizes.width;
    query += here.image * sizes.query_stride + here.place * sizes.channels;
    memory += here.image * sizes.memory_stride;
    offset += here.image * sizes.offset_stride + here.place * 2 * K;
    grad += here.index * sizes.channels;
    grad_query += here.index * sizes.channels;
    grad_memory += here.image * places * sizes.channels;
    grad_weights += here.index * sizes.groups * K;
    weights += here.index * sizes.groups * K;
    grad_logits += here.index * sizes.groups * K;
    grad_offset += here.index * 2 * K;
    for (int i = here.lane; i < K; i += LANES) offset_sums[here.slot][2 * i] = offset_sums[here.slot][2 * i + 1] = 0;
    for (long long g = 0; g < sizes.groups; ++g) {
        float(*product)[PRODUCTS] = products[here.slot];
        for (int i = here.lane; i < K; i += LANES)
            for (int j = 0; j < PRODUCTS; ++j) product[i][j] = 0;
        __syncwarp();
        Numbers q[HELD], d[HELD];
        for (int first = 0; first < CHUNKS; first += HELD) {
#pragma unroll
            for (int j = 0; j < HELD; ++j) {
                q[j].read(query + here.channel(first + j), here.holds(first + j, width));
                d[j].read(grad + here.channel(first + j), here.holds(first + j, width));
            }
#pragma unroll 1
            for (int i = 0; i < K; ++i) {
                const Point point(sizes, here.row, here.column, i, offset);
                float sums[PRODUCTS] = {0, 0, 0, 0, 0};
#pragma unroll
                for (int j = 0; j < HELD; ++j) {
                    Numbers cell[4];
#pragma unroll
                    for (int corner = 0; corner < 4; ++corner)
                        cell[corner].read(memory + point.row[corner] + here.channel(first + j),
                                          here.holds(first + j, width) && point.valid[corner]);
#pragma unroll
                    for (int v = 0; v < VECTOR; ++v) {
                        const float upper_step = cell[1].value[v] - cell[0].value[v];
                        const float lower_step = cell[3].value[v] - cell[2].value[v];
                        const float upper = cell[0].value[v] + point.right * upper_step;
                        const float along_y = cell[2].value[v] + point.right * lower_step - upper;
                        const float along_x = upper_step + point.down * (lower_step - upper_step);
                        sums[GRAD_VALUE] += d[j].value[v] * (upper + point.down * along_y);
                        sums[GRAD_Y] += d[j].value[v] * along_y;
                        sums[GRAD_X] += d[j].value[v] * along_x;
                        sums[QUERY_Y] += q[j].value[v] * along_y;
                        sums[QUERY_X] += q[j].value[v] * along_x;
                    }
                }
                for (int j = 0; j < PRODUCTS; ++j) sums[j] = sum_over_lanes(sums[j]);
                for (int j = 0; j < PRODUCTS && here.lane == 0; ++j) product[i][j] += sums[j];
            }
        }
        __syncwarp();
        float mean = 0;
        for (int i = 0; SIFA_SOFTMAX && i < K; ++i)
            mean += load(weights[i]) * (load(grad_weights[i]) + product[i][GRAD_VALUE]);
        __syncwarp();
        for (int i = here.lane; i < K; i += LANES) {
            const float weight = load(weights[i]), of_weight = load(grad_weights[i]) + product[i][GRAD_VALUE];
            const float logit = sizes.factor * (SIFA_SOFTMAX ? weight * (of_weight - mean) : of_weight);
            offset_sums[here.slot][2 * i] += weight * product[i][GRAD_Y] + logit * product[i][QUERY_Y];
            offset_sums[here.slot][2 * i + 1] += weight * product[i][GRAD_X] + logit * product[i][QUERY_X];
            product[i][GRAD_VALUE] = logit;
            if (here.active) grad_logits[i] = logit;
        }
        __syncwarp();
        for (int first = 0; first < CHUNKS; first += HELD) {
            Numbers sum[HELD];
#pragma unroll
            for (int j = 0; j < HELD; ++j) {
                if (!FUSED) q[j].read(query + here.channel(first + j), here.holds(first + j, width));
                if (!FUSED) d[j].read(grad + here.channel(first + j), here.holds(first + j, width));
                sum[j].clear();
            }
#pragma unroll 1
            for (int i = 0; i < K; ++i) {
                const Point point(sizes, here.row, here.column, i, offset);
                const float weight = load(weights[i]), logit = product[i][GRAD_VALUE];
#pragma unroll
                for (int j = 0; j < HELD; ++j) {
                    const bool held = here.holds(first + j, width);
                    Numbers sample;
                    point.sample(memory + here.channel(first + j), held, sample);
#pragma unroll
                    for (int v = 0; v < VECTOR; ++v) sum[j].value[v] += logit * sample.value[v];
#pragma unroll
                    for (int corner = 0; !SIFA_ORDERED && corner < 4; ++corner) {
                        if (!held || !point.valid[corner]) continue;
                        float share[VECTOR];
#pragma unroll
                        for (int v = 0; v < VECTOR; ++v)
                            share[v] = point.weight(corner) * (weight * d[j].value[v] + logit * q[j].value[v]);
                        add_atomically(grad_memory + point.row[corner] + here.channel(first + j), share);
                    }
                }
            }
#pragma unroll
            for (int j = 0; j < HELD; ++j)
                if (here.holds(first + j, width)) sum[j].write(grad_query + here.channel(first + j));
        }
        __syncwarp();
        query += width, memory += width, grad += width, grad_query += width, grad_memory += width;
        weights += K, grad_weights += K, grad_logits += K;
    }
    for (int i = here.lane; i < K && here.active; i += LANES) {
        grad_offset[2 * i] = offset_sums[here.slot][2 * i];
        grad_offset[2 * i + 1] = offset_sums[here.slot][2 * i + 1];
    }
}

// One thread owns one channel of one image and adds up every place's share in order: slow, and the same every time.
extern "C" __global__ void __launch_bounds__(SIFA_THREADS)
    sifa_scatter(Sizes sizes, const Store *query, const float *offset, const Store *grad, const Store *weights,
                 const float *grad_logits, float *grad_memory) {
    const long long places = sizes.height * sizes.width;
    const long long owner = (long long)blockIdx.x * SIFA_THREADS + threadIdx.x;
    if (owner >= sizes.images * sizes.channels) return;
    const long long image = owner / sizes.channels, channel = owner % sizes.channels;
    const long long group = channel / (sizes.channels / sizes.groups);
    query += image * sizes.query_stride + channel;
    offset += image * sizes.offset_stride;
    grad += image * places * sizes.channels + channel;
    grad_memory += image * places * sizes.channels + channel;
    weights += (image * places * sizes.groups + group) * K;
    grad_logits += (image * places * sizes.groups + group) * K;
    for (long long place = 0, row = 0, column = 0; place < places; ++place) {
        for (int i = 0; i < K; ++i) {
            const Point point(sizes, row, column, i, offset + place * 2 * K);
            const float share = load(weights[place * sizes.groups * K + i]) * load(grad[place * sizes.channels]) +
                                grad_logits[place * sizes.groups * K + i] * load(query[place * sizes.channels]);
#pragma unroll
            for (int corner = 0; corner < 4; ++corner)
                if (point.valid[corner]) grad_memory[point.row[corner]] += point.weight(corner) * share;
        }
        if (++column == sizes.width) column = 0, ++row;
    }
}
