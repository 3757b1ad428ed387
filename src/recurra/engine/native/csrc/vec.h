// Vectors of REAL (float or double) as wide as WIDTH bytes, and the functions of the language of cells on them.
// GCC's vector extensions only, so that AVX-512, AVX2, NEON and plain 16-byte vectors come from this one text.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#ifndef REAL
#define REAL float
#endif
#ifndef WIDTH
#define WIDTH 16
#endif
// Reading immintrin.h takes more time than compiling a cell: narrower vectors do without.
#if defined(__AVX512F__) && WIDTH == 64
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

typedef REAL V __attribute__((vector_size(WIDTH)));
typedef REAL Loose __attribute__((vector_size(WIDTH), aligned(sizeof(REAL)), may_alias));
constexpr long W = WIDTH / sizeof(REAL);
constexpr bool SINGLE = sizeof(REAL) == 4;

static inline V all(REAL x) { return V{} + x; }
static inline V load(const REAL *p) { return *(const Loose *)p; }
static inline void store(REAL *p, V v) { *(Loose *)p = v; }

// The first n of W entries, 0 < n < W; the others read as 0 and are not written.
#if defined(__AVX512F__) && WIDTH == 64
static inline V load(const float *p, long n) { return (V)_mm512_maskz_loadu_ps((1u << n) - 1, p); }
static inline V load(const double *p, long n) { return (V)_mm512_maskz_loadu_pd((1u << n) - 1, p); }
static inline void store(float *p, V v, long n) { _mm512_mask_storeu_ps(p, (1u << n) - 1, (__m512)v); }
static inline void store(double *p, V v, long n) { _mm512_mask_storeu_pd(p, (1u << n) - 1, (__m512d)v); }
#else
static inline V load(const REAL *p, long n) {
    V v = {};
    memcpy(&v, p, n * sizeof(REAL));
    return v;
}
static inline void store(REAL *p, V v, long n) { memcpy(p, &v, n * sizeof(REAL)); }
#endif

template <class F> static inline V lanes(V x, F f) {
    for (long k = 0; k < W; k++) x[k] = f(x[k]);
    return x;
}

typedef int32_t I __attribute__((vector_size(WIDTH)));
typedef int16_t I16 __attribute__((vector_size(WIDTH)));
typedef float Floats __attribute__((vector_size(WIDTH)));
typedef double Doubles __attribute__((vector_size(WIDTH)));
typedef uint32_t Bits __attribute__((vector_size(WIDTH)));
typedef uint32_t LooseBits __attribute__((vector_size(WIDTH), aligned(1), may_alias));

static inline Bits load_bits(const void *p) { return *(const LooseBits *)p; }

// Of integers of sixteen bits: the sums of the products of each two neighbours.
static inline I sums_of_pairs(I a, I b) {
#if defined(__AVX512BW__) && WIDTH == 64
    return (I)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__) && WIDTH == 32
    return (I)__builtin_ia32_pmaddwd256((I16)a, (I16)b);
#elif defined(__SSE2__) && WIDTH == 16
    return (I)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
    return (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16);
#endif
}

// The larger and the smaller of two; the second where one of them is no number.
static inline V larger(V a, V b) {
#if defined(__AVX512F__) && WIDTH == 64
    return SINGLE ? (V)_mm512_max_ps((__m512)a, (__m512)b) : (V)_mm512_max_pd((__m512d)a, (__m512d)b);
#elif defined(__AVX2__) && WIDTH == 32
    return SINGLE ? (V)__builtin_ia32_maxps256((Floats)a, (Floats)b) : (V)__builtin_ia32_maxpd256((Doubles)a, (Doubles)b);
#else
    return a > b ? a : b;
#endif
}
static inline V smaller(V a, V b) {
#if defined(__AVX512F__) && WIDTH == 64
    return SINGLE ? (V)_mm512_min_ps((__m512)a, (__m512)b) : (V)_mm512_min_pd((__m512d)a, (__m512d)b);
#elif defined(__AVX2__) && WIDTH == 32
    return SINGLE ? (V)__builtin_ia32_minps256((Floats)a, (Floats)b) : (V)__builtin_ia32_minpd256((Doubles)a, (Doubles)b);
#else
    return a < b ? a : b;
#endif
}

// e^x of floats between -87.3 and 88.72 is 2^n (1 + m): x = n ln 2 + r, |r| <= ln 2 / 2, m a polynomial in r of degree 7.
// `power` is n, in bits where an exponent stands; at most 1 unit in the last place.
struct Parts {
    V m;
    I power;
};
static inline Parts parts(V x) {
    V shifted = x * (REAL)1.44269504f + (REAL)12582912;  // 1.5 * 2^23: the integer n stands in the last bits
    V n = shifted - (REAL)12582912;
    V r = x - n * (REAL)0.693359375f;
    r = r + n * (REAL)2.12194440e-4f;
    V p = r * (REAL)1.9875691500e-4f + (REAL)1.3981999507e-3f;
    p = p * r + (REAL)8.3334519073e-3f;
    p = p * r + (REAL)4.1665795894e-2f;
    p = p * r + (REAL)1.6666665459e-1f;
    p = p * r + (REAL)5.0000001201e-1f;
    return {p * (r * r) + r, (I)shifted << 23};
}
static inline V within(V x) { return smaller(all((REAL)88.72), larger(all((REAL)-87.3), x)); }

static inline V exp_v(V x) {
    if constexpr (SINGLE) {
        const auto [m, power] = parts(within(x));
        V scaled = (V)((I)(m + (REAL)1) + power);
        return x < all((REAL)-87.3) ? V{} : x > all((REAL)88.72) ? all(INFINITY) : scaled;
    } else {
        return lanes(x, [](REAL v) { return std::exp(v); });
    }
}
static inline V sigmoid(V x) {
    if constexpr (SINGLE) {
        const auto [m, power] = parts(within(-x));
        V s = (REAL)1 / ((REAL)1 + (V)((I)(m + (REAL)1) + power));
        return x < all((REAL)-88.72) ? V{} : s;
    } else {
        return (REAL)1 / ((REAL)1 + exp_v(-x));
    }
}
static inline V exp(V x) { return exp_v(x); }
// A polynomial near 0, where 1 - 2 / (e^2|x| + 1) would lose digits; beyond 20 a tanh is 1.
static inline V tanh(V x) {
    if constexpr (SINGLE) {
        const I sign = (I)x & (I{} + INT32_MIN);
        V a = (V)((I)x ^ sign), z = x * x;
        V p = z * (REAL)-5.70498872745e-3f + (REAL)2.06390887954e-2f;
        p = p * z + (REAL)-5.37397155531e-2f;
        p = p * z + (REAL)1.33314422036e-1f;
        p = p * z + (REAL)-3.33332819422e-1f;
        p = p * z * a + a;
        const auto [m, power] = parts(smaller(all(40), a + a));
        V q = (REAL)1 - (REAL)2 / ((V)((I)(m + (REAL)1) + power) + (REAL)1);
        return (V)((I)(a < all((REAL)0.625) ? p : q) | sign);
    } else {
        return lanes(x, [](REAL v) { return std::tanh(v); });
    }
}
static inline V log(V x) { return lanes(x, [](REAL v) { return std::log(v); }); }
static inline V softplus(V x) { return lanes(x, [](REAL v) { return v > 20 ? v : std::log1p(std::exp(v)); }); }
static inline V relu(V x) { return x < V{} ? V{} : x; }
static inline V maximum(V a, V b) { return b > a || b != b ? b : a; }
static inline V step(V x) { return x > V{} ? all(1) : V{}; }
static inline V clamp(V x, REAL low, REAL high) {
    x = x < all(low) ? all(low) : x;
    return x > all(high) ? all(high) : x;
}
static inline V hard_sigmoid(V x) { return clamp(x / (REAL)6 + (REAL)0.5, 0, 1); }
static inline V hard_tanh(V x) { return clamp(x, -1, 1); }

// Calls at(u, get, put) for every vector of a row of `units`, the last one with loads and stores of what is left.
#define EVERY_UNIT(at)                                                                                        \
    long u = 0;                                                                                               \
    for (; u + W <= units; u += W) at(u, [](const REAL *q) { return load(q); }, [](REAL *q, V v) { store(q, v); }); \
    if (const long n = units - u; n > 0)                                                                      \
        at(u, [n](const REAL *q) { return load(q, n); }, [n](REAL *q, V v) { store(q, v, n); });
