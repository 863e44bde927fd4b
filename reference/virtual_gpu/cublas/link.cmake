# cuBLAS's product is compiled for this machine's processor; only its innermost loop may fuse a multiply and an add.
file(GLOB product_sources ${CMAKE_SOURCE_DIR}/reference/virtual_gpu/cublas/*.cc)
set(product_options -O3 -fno-math-errno -fno-trapping-math)
if(LOCKSTEP_NATIVE)
  list(APPEND product_options -march=native)
endif()
set_source_files_properties(${product_sources} PROPERTIES COMPILE_OPTIONS "${product_options}")
set_property(SOURCE ${CMAKE_SOURCE_DIR}/reference/virtual_gpu/cublas/tile.cc APPEND PROPERTY COMPILE_OPTIONS
  -ffp-contract=fast)
