// make_float4 and its kin for every type of vector_types.h.
#pragma once

#include <vector_types.h>

#define LOCKSTEP_MAKE_VECTORS(name, element)                                                            \
  constexpr name##1 make_##name##1(element x) { return {x}; }                                           \
  constexpr name##2 make_##name##2(element x, element y) { return {x, y}; }                             \
  constexpr name##3 make_##name##3(element x, element y, element z) { return {x, y, z}; }               \
  constexpr name##4 make_##name##4(element x, element y, element z, element w) { return {x, y, z, w}; } \
  static_assert(sizeof(name##4) == 4 * sizeof(element))

LOCKSTEP_MAKE_VECTORS(char, signed char);
LOCKSTEP_MAKE_VECTORS(uchar, unsigned char);
LOCKSTEP_MAKE_VECTORS(short, short);
LOCKSTEP_MAKE_VECTORS(ushort, unsigned short);
LOCKSTEP_MAKE_VECTORS(int, int);
LOCKSTEP_MAKE_VECTORS(uint, unsigned);
LOCKSTEP_MAKE_VECTORS(longlong, long long);
LOCKSTEP_MAKE_VECTORS(ulonglong, unsigned long long);
LOCKSTEP_MAKE_VECTORS(float, float);
LOCKSTEP_MAKE_VECTORS(double, double);
#undef LOCKSTEP_MAKE_VECTORS
