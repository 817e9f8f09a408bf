# baozi_module(NAME DEPS module… LIBS target… [SHARED])
#
# One folder is one module. The files' names say what they are, so that a new file needs no edit
# here:
#   *_test.cc   one GoogleTest binary NAME_test         *_bench.cc  one Google Benchmark binary
#       NAME_bench
#   *_fuzz.cc   one fuzz entry a file                   other *.cc  the static library baozi_NAME
# DEPS are modules of ours and carry their headers along; LIBS are third-party targets.
# TEST_LIBS and BENCH_LIBS are linked to the test and benchmark binaries only.

find_package(Threads REQUIRED)

add_library(baozi_flags INTERFACE)
target_compile_options(baozi_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow
  $<$<BOOL:${BAOZI_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC warns about its own std::optional, std::vector and std::atomic code when it is inlined, up
  # to 14 at least: a null pointer it takes for possible in a coroutine's frame is none.
  target_compile_options(baozi_flags INTERFACE -Wno-maybe-uninitialized -Wno-array-bounds
    -Wno-stringop-overflow -Wno-stringop-overread -Wno-restrict -Wno-free-nonheap-object)
  # TSan does not model fences; ours order a flag against a queue and publish no data.
  target_compile_options(baozi_flags INTERFACE -Wno-tsan)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # libstdc++ 12's own std::stable_sort calls what it marks as deprecated.
  target_compile_options(baozi_flags INTERFACE -Wno-deprecated-declarations)
endif()
target_compile_features(baozi_flags INTERFACE cxx_std_20)
target_link_libraries(baozi_flags INTERFACE Threads::Threads)

function(baozi_module name)
  cmake_parse_arguments(ARG "" "" "DEPS;LIBS;TEST_DEPS;TEST_LIBS;BENCH_DEPS;BENCH_LIBS" ${ARGN})
  file(GLOB all CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  set(library ${all})
  list(FILTER library EXCLUDE REGEX "_(test|bench|fuzz)\\.cc$")
  set(tests ${all})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  set(benches ${all})
  list(FILTER benches INCLUDE REGEX "_bench\\.cc$")
  set(fuzzers ${all})
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")

  set(deps ${ARG_DEPS})
  list(TRANSFORM deps PREPEND baozi_)
  if(library)
    add_library(baozi_${name} STATIC ${library})
    set(scope PUBLIC)
  else()
    add_library(baozi_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(baozi_${name} ${scope}
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(baozi_${name} ${scope} ${deps} ${ARG_LIBS})
  target_compile_features(baozi_${name} ${scope} cxx_std_20)  # of our headers: users inherit it
  if(library)
    target_link_libraries(baozi_${name} PRIVATE $<BUILD_INTERFACE:baozi_flags>)
  endif()

  set(test_deps ${ARG_TEST_DEPS})
  list(TRANSFORM test_deps PREPEND baozi_)
  if(BAOZI_TESTS AND tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE baozi_${name} baozi_flags ${test_deps}
      ${ARG_TEST_LIBS} GTest::gmock GTest::gtest_main)
    target_compile_definitions(${name}_test PRIVATE
      BAOZI_SOURCE_DIR="${PROJECT_SOURCE_DIR}" BAOZI_BINARY_DIR="${PROJECT_BINARY_DIR}")
    gtest_discover_tests(${name}_test TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST
      PROPERTIES TIMEOUT 300)
  endif()

  set(bench_deps ${ARG_BENCH_DEPS})
  list(TRANSFORM bench_deps PREPEND baozi_)
  if(BAOZI_BENCH AND benches)
    add_executable(${name}_bench ${benches})
    target_link_libraries(${name}_bench PRIVATE baozi_${name} baozi_flags ${bench_deps}
      ${ARG_BENCH_LIBS} benchmark::benchmark_main)
  endif()

  foreach(file ${fuzzers})
    baozi_fuzz(${name} ${file})
  endforeach()
endfunction()

# A fuzz entry defines LLVMFuzzerTestOneInput. With BAOZI_FUZZ it is linked with libFuzzer; always,
# a small main replays the corpus testdata/fuzz/<entry>/ as a test.
function(baozi_fuzz module file)
  get_filename_component(entry ${file} NAME_WE)
  if(BAOZI_FUZZ)
    add_executable(${entry} ${file})
    target_link_libraries(${entry} PRIVATE baozi_${module} baozi_flags)
    target_compile_options(${entry} PRIVATE -fsanitize=fuzzer)
    target_link_options(${entry} PRIVATE -fsanitize=fuzzer)
  elseif(BAOZI_TESTS)
    add_executable(${entry} ${file} ${PROJECT_SOURCE_DIR}/tools/fuzz/replay_main.cc)
    target_link_libraries(${entry} PRIVATE baozi_${module} baozi_flags)
    add_test(NAME ${module}.${entry} COMMAND ${entry} ${PROJECT_SOURCE_DIR}/testdata/fuzz/${entry})
  endif()
endfunction()
