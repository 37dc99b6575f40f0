// Numbers as the CPU kernels load, compute and store them: four storage types, and vectors of 64 bytes to compute in.

#pragma once

#include <cstdint>
#include <cstring>

inline float bits_to_float(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline uint32_t float_to_bits(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

struct BFloat16 {
    uint16_t bits;
};

struct Float16 {
    uint16_t bits;
};

inline float load(float value) { return value; }
inline double load(double value) { return value; }
inline float load(BFloat16 value) { return bits_to_float(uint32_t(value.bits) << 16); }

inline float load(Float16 value) {
    // Shift the fields into float's places; the product rebiases the exponent and normalises subnormal numbers.
    const float magnitude = bits_to_float(uint32_t(value.bits & 0x7fff) << 13) * 0x1p112f;
    const uint32_t special = magnitude >= 65536.0f ? 0x7f800000u : 0u;
    return bits_to_float(float_to_bits(magnitude) | special | (uint32_t(value.bits & 0x8000) << 16));
}

// Loops over channels are written once, for a `Value` that is one number or a vector of them: compilers that are left
// to vectorise the sums on their own keep them in memory and add the lanes up one after the other.
typedef float Floats __attribute__((vector_size(64)));
typedef double Doubles __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef uint16_t Shorts __attribute__((vector_size(32)));

template <class Real>
struct VectorOf;
template <>
struct VectorOf<float> {
    typedef Floats type;
};
template <>
struct VectorOf<double> {
    typedef Doubles type;
};

template <class To, class From>
inline To reinterpret(const From &from) {
    static_assert(sizeof(To) == sizeof(From), "only the type changes");
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}

template <class Value, class Store>
struct Load {  // one number
    static Value from(const Store *place) { return load(*place); }
};
template <>
struct Load<Floats, float> {
    static Floats from(const float *place) {
        Floats value;
        std::memcpy(&value, place, sizeof value);
        return value;
    }
};
template <>
struct Load<Doubles, double> {
    static Doubles from(const double *place) {
        Doubles value;
        std::memcpy(&value, place, sizeof value);
        return value;
    }
};
inline Words widen(const void *place) {
    Shorts bits;
    std::memcpy(&bits, place, sizeof bits);
    return __builtin_convertvector(bits, Words);
}
template <>
struct Load<Floats, BFloat16> {
    static Floats from(const BFloat16 *place) { return reinterpret<Floats>(widen(place) << 16); }
};
template <>
struct Load<Floats, Float16> {
    static Floats from(const Float16 *place) {
        const Words bits = widen(place);
        const Floats magnitude = reinterpret<Floats>((bits & 0x7fff) << 13) * 0x1p112f;
        const Words special = reinterpret<Words>(magnitude >= 65536.0f) & 0x7f800000u;
        return reinterpret<Floats>(reinterpret<Words>(magnitude) | special | ((bits & 0x8000) << 16));
    }
};

template <class Real, class Value>
inline void put(Real *place, const Value &value) {
    std::memcpy(place, &value, sizeof value);
}

// Sum of the lanes, by halves.
inline float total(float value) { return value; }
inline double total(double value) { return value; }
template <class Half, class Vector>
inline Half fold(const Vector &value) {
    Half halves[2];
    static_assert(sizeof halves == sizeof value, "two halves make the whole");
    std::memcpy(halves, &value, sizeof value);
    return halves[0] + halves[1];
}
inline float total(const Floats &value) {
    typedef float Eight __attribute__((vector_size(32)));
    typedef float Four __attribute__((vector_size(16)));
    const Four sums = fold<Four>(fold<Eight>(value));
    return (sums[0] + sums[2]) + (sums[1] + sums[3]);
}
inline double total(const Doubles &value) {
    typedef double Four __attribute__((vector_size(32)));
    typedef double Two __attribute__((vector_size(16)));
    const Two sums = fold<Two>(fold<Four>(value));
    return sums[0] + sums[1];
}

inline void store(float *to, float value) { *to = value; }
inline void store(double *to, double value) { *to = value; }

inline void store(BFloat16 *to, float value) {
    const uint32_t bits = float_to_bits(value);
    const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;  // to nearest, ties to even
    to->bits = uint16_t(value != value ? 0x7fc0 : rounded);
}

inline void store(Float16 *to, float value) {
    const uint32_t bits = float_to_bits(value);
    const uint32_t sign = (bits >> 16) & 0x8000, magnitude = bits & 0x7fffffff;
    uint32_t half;
    if (magnitude > 0x7f800000) {
        half = 0x7e00;
    } else if (magnitude >= 0x477ff000) {  // 65520 and above round to infinity
        half = 0x7c00;
    } else if (magnitude < 0x38800000) {  // below 2^-14: adding 1/2 leaves the subnormal's bits, rounded, at the bottom
        half = float_to_bits(bits_to_float(magnitude) + 0.5f) - 0x3f000000;
    } else {
        half = (magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13;
    }
    to->bits = uint16_t(half | sign);
}
