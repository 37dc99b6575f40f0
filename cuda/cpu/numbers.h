// Numbers as the CPU kernels load, compute and store them: four storage types, and vectors of numbers to compute in.

#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

// Loops over channels are written once, for vectors of any number of lanes: compilers that are left to vectorise the
// sums on their own keep them in memory and add the lanes up one after the other.
template <class Number, int LANES>
struct VectorType {
    typedef Number type __attribute__((vector_size(sizeof(Number) * LANES)));
};
template <class Number, int LANES>
using Vector = typename VectorType<Number, LANES>::type;

// The processor's widest vector, and how many of them a loop over taps holds in registers at once: of 32 registers
// eight are for the query, of 16 only four.
#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64, BLOCK = 8;
#elif defined(__AVX__)
constexpr int VECTOR_BYTES = 32, BLOCK = 4;
#else
constexpr int VECTOR_BYTES = 16, BLOCK = 4;
#endif
template <class Real>
constexpr int WIDE = VECTOR_BYTES / int(sizeof(Real));

template <class To, class From>
inline To reinterpret(const From &from) {
    static_assert(sizeof(To) == sizeof(From), "only the type changes");
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}

template <int LANES>
using Words = Vector<uint32_t, LANES>;

struct BFloat16 {
    uint16_t bits;

    template <int LANES>
    static Vector<float, LANES> widen(Words<LANES> half) {
        return reinterpret<Vector<float, LANES>>(half << 16);
    }
    template <int LANES>
    static Words<LANES> narrow(Vector<float, LANES> value) {
        const Words<LANES> wide = reinterpret<Words<LANES>>(value);
        const Words<LANES> rounded = (wide + 0x7fff + ((wide >> 16) & 1)) >> 16;  // to nearest, ties to even
        const Words<LANES> is_nan = reinterpret<Words<LANES>>(value != value);
        return (rounded & ~is_nan) | (is_nan & 0x7fc0);
    }
};

struct Float16 {
    uint16_t bits;

    template <int LANES>
    static Vector<float, LANES> widen(Words<LANES> half) {
        // Shift the fields into float's places; the product rebiases the exponent and normalises subnormal numbers.
        typedef Vector<float, LANES> Floats;
        const Floats magnitude = reinterpret<Floats>((half & 0x7fff) << 13) * 0x1p112f;
        const Words<LANES> special = reinterpret<Words<LANES>>(magnitude >= 65536.0f) & 0x7f800000u;
        return reinterpret<Floats>(reinterpret<Words<LANES>>(magnitude) | special | ((half & 0x8000) << 16));
    }
    template <int LANES>
    static Words<LANES> narrow(Vector<float, LANES> value) {
        typedef Vector<float, LANES> Floats;
        const Words<LANES> wide = reinterpret<Words<LANES>>(value), magnitude = wide & 0x7fffffff;
        const Words<LANES> normal = (magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13;
        // Below 2^-14: adding 1/2 leaves the subnormal's bits, rounded, at the bottom.
        const Words<LANES> tiny = reinterpret<Words<LANES>>(reinterpret<Floats>(magnitude) + 0.5f) - 0x3f000000;
        Words<LANES> half = choose<LANES>(magnitude < 0x38800000, tiny, normal);
        half = choose<LANES>(magnitude >= 0x477ff000, splat<LANES>(0x7c00), half);  // 65520 and above are infinite
        half = choose<LANES>(magnitude > 0x7f800000, splat<LANES>(0x7e00), half);
        return half | ((wide >> 16) & 0x8000);
    }

private:
    template <int LANES>
    static Words<LANES> splat(uint32_t word) {
        return Words<LANES>() + word;
    }
    template <int LANES, class Mask>
    static Words<LANES> choose(const Mask &mask, Words<LANES> yes, Words<LANES> no) {
        const Words<LANES> bits = reinterpret<Words<LANES>>(mask);
        return (yes & bits) | (no & ~bits);
    }
};

// What numbers stored as `Store` are computed in.
template <class Store>
struct RealType {
    typedef Store type;
};
template <>
struct RealType<BFloat16> {
    typedef float type;
};
template <>
struct RealType<Float16> {
    typedef float type;
};
template <class Store, int LANES>
using Reals = Vector<typename RealType<Store>::type, LANES>;

// LANES numbers from memory, and back.
template <int LANES, class Store>
inline Reals<Store, LANES> load(const Store *place) {
    if constexpr (std::is_class<Store>::value) {
        Vector<uint16_t, LANES> bits;
        std::memcpy(&bits, static_cast<const void *>(place), sizeof bits);
        return Store::template widen<LANES>(__builtin_convertvector(bits, Words<LANES>));
    } else {
        Reals<Store, LANES> value;
        std::memcpy(&value, place, sizeof value);
        return value;
    }
}
template <int LANES, class Store>
inline void store(Store *place, const Reals<Store, LANES> &value) {
    if constexpr (std::is_class<Store>::value) {
        const auto bits = __builtin_convertvector(Store::template narrow<LANES>(value), Vector<uint16_t, LANES>);
        std::memcpy(static_cast<void *>(place), &bits, sizeof bits);
    } else {
        std::memcpy(place, &value, sizeof value);
    }
}

template <class Store>
inline auto load_one(const Store *place) {
    return load<1>(place)[0];
}
template <class Store, class Real>
inline void store_one(Store *place, Real value) {
    store<1>(place, Reals<Store, 1>{value});
}

// Sum of LANES numbers in memory, by halves.
template <int LANES, class Real>
inline Real total(const Real *lanes) {
    if constexpr (LANES == 1) {
        return lanes[0];
    } else {
        constexpr int HALF = LANES / 2;
        const Vector<Real, HALF> sums = load<HALF>(lanes) + load<HALF>(lanes + HALF);
        return total<HALF>(reinterpret_cast<const Real *>(&sums));
    }
}

// Calls body.run<LANES, COUNT>(c) for channels [first, last): COUNT vectors of LANES channels from c on. What does not
// fill the widest vector is done in vectors of 16 bytes and then one by one.
template <class Real, class Body>
inline void over_channels(int64_t first, int64_t last, const Body &body) {
    constexpr int wide = WIDE<Real>, narrow = 16 / int(sizeof(Real));
    for (; first + BLOCK * wide <= last; first += BLOCK * wide) body.template run<wide, BLOCK>(first);
    for (; first + 2 * wide <= last; first += 2 * wide) body.template run<wide, 2>(first);
    for (; first + wide <= last; first += wide) body.template run<wide, 1>(first);
    for (; first + narrow <= last; first += narrow) body.template run<narrow, 1>(first);
    for (; first < last; ++first) body.template run<1, 1>(first);
}
