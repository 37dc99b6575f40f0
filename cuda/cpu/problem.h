// What a kernel has to know besides addresses. sifa_core/ops reads this file for its own definition: one field a line.

#pragma once

#include <cstdint>

struct Problem {
    int64_t images;
    int64_t channels;
    int64_t height;
    int64_t width;
    int64_t kernel;
    int64_t softmax;
    int64_t threads;
    int64_t query_stride;  // elements between images, so that slices of a batch need no copy
    int64_t memory_stride;
    int64_t offset_stride;
    double factor;  // of the dot products

    int64_t places() const { return height * width; }
    int64_t taps() const { return kernel * kernel; }
};
