// What a kernel has to know besides addresses and constants. sifa_core/ops reads this file for its own definition.

struct Problem {
    int images;
    int height;
    int width;
    int strip;  // columns of a strip of places; see common.cuh
    int group;  // places that share a flag, a multiple of 32; see tiles.cuh
    long long query_stride;  // elements between images
    long long memory_stride;
    long long offset_stride;
    float factor;  // of the dot products
};
