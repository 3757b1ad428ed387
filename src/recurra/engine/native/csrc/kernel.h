// What the engine hands to the time loop: where values live, and what is done with them at each step.
#pragma once
#include "vec.h"

// How a value's row is found at step t for the r-th row of the batch; rows of all steps lie behind each other.
enum Mode : long {
    WHOLE = 0,        // a row for every step: start[t] + r
    PREVIOUS = 1,     // a history's row of the step before: `batch` initial rows lie in front
    NEW = 2,          // a history's row of this step
    SCRATCH = 3,      // the step's own, one area a thread
    CARRY = 4,        // one row a sequence, handed from step to step
    PARAMETER = 5,    // one vector for all rows
    SCALAR = 6,       // one number
    ACCUMULATOR = 7,  // one vector a thread, summed over rows and steps
    INPUT = 8,        // of a single step: an entry of the caller's x,
    BEFORE = 9,       // of its states before,
    AFTER = 10,       // and of its states after; the base is how many entries from their beginning
};

struct Value {
    REAL *base;
    long stride;  // entries from row to row
    long mode;
};

// A cell's equations between two seams: `rows` rows of `units` units; p[k] points at the first entry of its k-th value.
typedef void (*Point)(REAL *const *p, const long *stride, long rows, long units);

enum Kind : long { POINT = 0, PRODUCT = 1, NORM = 2, NORM_TRANSPOSED = 3 };

// A step of the loop. PRODUCT: values[argument] times the packed matrix, tile by tile, then `point` on the tile, whose
// values stand in `list` as numbers of values or, negative, as -1 - gate; without a point the results are stored.
struct Op {
    long kind;
    Point point;
    const long *list;  // the point's values; without a point, the products' results; for norms as they say
    long count;
    long argument;
    const void *packed;
    long depth;    // K
    long gates;    // results side by side
    long units;    // of each result
    long low;      // factors: 0 as they are, 1 bfloat16, 2 eight-bit integers; the sums are float in any case
};

struct Call {
    const Value *values;
    long value_count;
    const Op *ops;
    long op_count;
    const long *sizes;   // rows alive at each step, never growing
    const long *starts;  // first row of each step
    long steps;
    long batch;          // rows alive at the first step
    long backwards;
    long truncate;       // carries are cut where a step's number is a multiple of it
    long threads;
    const long *split;   // threads + 1 row borders
    REAL *scratch;
    long scratch_size;   // entries a thread
    float *low;          // room for a product's left factor in few bits
    long low_size;       // entries a thread
    const REAL *x;       // of a single step
    const REAL *before;
    REAL *after;
};

// Layers one above the other, for one step at a time.
struct Stack {
    Call *calls;
    long layers;
    double epsilon;
    long output;   // where the highest layer's output begins in the states, and its entries
    long outputs;
};
