// Runs the real GPU kernels on the host. As a program: harness INPUT OUTPUT SEED reads one problem, runs forward and
// backward and writes their results. As a library: `shim_launch` takes what the CUDA driver's launch takes.
//
// The folder of the kernels is on the include path; the kernels' constants come as -D options, as for NVRTC.

#include <words.h>  // the compiled header, where the include path has one

#include "forward.cu"
#include "backward.cu"
#include "memory.cu"

template <class... Arguments, size_t... I>
void call(void (*kernel)(Arguments...), void **values, std::index_sequence<I...>) {
    kernel(*static_cast<Arguments *>(values[I])...);
}

template <class... Arguments>
void launch(void (*kernel)(Arguments...), unsigned blocks, unsigned threads, void **values) {
    std::vector<unsigned> order(blocks);
    for (unsigned block = 0; block < blocks; ++block) order[block] = block;
    std::shuffle(order.begin(), order.end(), schedule);
    for (unsigned block : order)
        run_block(block, threads, [&] { call(kernel, values, std::index_sequence_for<Arguments...>()); });
}

extern "C" int shim_launch(const char *kernel, unsigned blocks, unsigned threads, void **values) {
    const std::string name = kernel;
    if (threads != (name == "sifa_gradient_of_memory" ? OWNERS : SIFA_THREADS)) return 1;
    if (name == "sifa_forward")
        launch(sifa_forward, blocks, threads, values);
    else if (name == "sifa_backward")
        launch(sifa_backward, blocks, threads, values);
    else if (name == "sifa_gradient_of_memory")
        launch(sifa_gradient_of_memory, blocks, threads, values);
    else
        return 2;
    return 0;
}

// Arrays are allocated to the byte, so that the address sanitizer sees the first one read too far.
template <class T>
struct Array {
    size_t count;
    T *data;

    explicit Array(long long count) : count(size_t(count)), data(new T[size_t(count)]()) {}
    Array(const Array &) = delete;
    ~Array() { delete[] data; }

    void read(FILE *file) {
        if (std::fread(data, sizeof(T), count, file) != count) fault("the input is too short");
    }
    void write(FILE *file) const { std::fwrite(data, sizeof(T), count, file); }
};

int main(int count, char **words) {
    if (count != 4) return 2;
    FILE *input = std::fopen(words[1], "rb"), *output = std::fopen(words[2], "wb");
    if (!input || !output) return 3;
    schedule.seed(unsigned(std::atoi(words[3])));
    Problem problem;
    if (std::fread(&problem, sizeof problem, 1, input) != 1) return 4;
    const Tiles tiles(problem);
    const long long all_tiles = (long long)problem.images * tiles.across * tiles.down;
    const long long places = (long long)problem.images * problem.height * problem.width, maps = places * CHANNELS;
    Array<Store> query(maps), memory(maps), grad(maps), grad_weights(places * K);
    Array<Offset> offset(places * 2 * K);
    query.read(input), memory.read(input), offset.read(input), grad.read(input), grad_weights.read(input);

    Array<Store> aggregate(maps), weights(places * K), grad_query(maps), grad_memory(maps);
    Array<Offset> grad_offset(places * 2 * K);
    Array<float> grad_logits(places * K);
    Array<unsigned char> reached(all_tiles * tiles.groups);
    const unsigned blocks = unsigned((places + PLACES * WARPS - 1) / (PLACES * WARPS));
    void *forward[] = {&problem, &query.data, &memory.data, &offset.data, &aggregate.data, &weights.data};
    shim_launch("sifa_forward", blocks, SIFA_THREADS, forward);
    void *backward[] = {&problem,      &query.data,      &memory.data,      &offset.data,      &grad.data,   &grad_weights.data,
                        &weights.data, &grad_query.data, &grad_offset.data, &grad_logits.data, &reached.data};
    shim_launch("sifa_backward", blocks, SIFA_THREADS, backward);
    void *of_memory[] = {&problem,      &query.data,       &offset.data,  &grad.data,
                         &weights.data, &grad_logits.data, &reached.data, &grad_memory.data};
    shim_launch("sifa_gradient_of_memory", unsigned(all_tiles * SLICES), OWNERS, of_memory);
    aggregate.write(output), weights.write(output);
    grad_query.write(output), grad_memory.write(output), grad_offset.write(output);
    return std::fclose(output);
}
