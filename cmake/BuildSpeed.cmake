# Read by the presets at the first project() call: ccache and a fast linker, when the machine has
# them.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM} CACHE STRING "Runs the compiler")
endif()

find_program(MOLD_PROGRAM ld.mold)
find_program(LLD_PROGRAM ld.lld)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
elseif(LLD_PROGRAM)
  add_link_options(-fuse-ld=lld)
endif()
mark_as_advanced(CCACHE_PROGRAM MOLD_PROGRAM LLD_PROGRAM)
