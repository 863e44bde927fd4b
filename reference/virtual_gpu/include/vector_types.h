// CUDA's vector types and dim3, with the sizes and alignments that nvcc gives them.
//
// Aggregates, so that `make_float4` and braces both work; 16-byte types are aligned to 16 bytes, because a kernel's
// 128-bit access to a less aligned address is an error on a GPU and is caught here by UndefinedBehaviorSanitizer.
#pragma once

#define LOCKSTEP_VIRTUAL_GPU 1

#define LOCKSTEP_VECTOR_TYPES(name, element, align2, align4) \
  struct name##1 {                                           \
    element x;                                               \
  };                                                         \
  struct alignas(align2) name##2 {                           \
    element x, y;                                            \
  };                                                         \
  struct name##3 {                                           \
    element x, y, z;                                         \
  };                                                         \
  struct alignas(align4) name##4 {                           \
    element x, y, z, w;                                      \
  }

LOCKSTEP_VECTOR_TYPES(char, signed char, 2, 4);
LOCKSTEP_VECTOR_TYPES(uchar, unsigned char, 2, 4);
LOCKSTEP_VECTOR_TYPES(short, short, 4, 8);
LOCKSTEP_VECTOR_TYPES(ushort, unsigned short, 4, 8);
LOCKSTEP_VECTOR_TYPES(int, int, 8, 16);
LOCKSTEP_VECTOR_TYPES(uint, unsigned, 8, 16);
LOCKSTEP_VECTOR_TYPES(longlong, long long, 16, 16);
LOCKSTEP_VECTOR_TYPES(ulonglong, unsigned long long, 16, 16);
LOCKSTEP_VECTOR_TYPES(float, float, 8, 16);
LOCKSTEP_VECTOR_TYPES(double, double, 16, 16);
#undef LOCKSTEP_VECTOR_TYPES

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned width = 1, unsigned height = 1, unsigned depth = 1) : x(width), y(height), z(depth) {}
  constexpr dim3(uint3 size) : x(size.x), y(size.y), z(size.z) {}
  constexpr operator uint3() const { return {x, y, z}; }
};
