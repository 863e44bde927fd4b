# cuBLAS's product is for this machine's processor; only its innermost loop may fuse a multiply and an add.
file(GLOB product_sources ${folder}/cublas/*.cc)
set(product_options -O3 -fno-math-errno -fno-trapping-math)
if(LOCKSTEP_NATIVE)
  list(APPEND product_options -march=native)
endif()
set_source_files_properties(${product_sources} PROPERTIES COMPILE_OPTIONS "${product_options}")
set_source_files_properties(${folder}/cublas/tile.cc PROPERTIES COMPILE_OPTIONS "${product_options};-ffp-contract=fast")
