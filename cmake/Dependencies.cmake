# Third-party packages, all from the system; setup/packages.txt names them with their reasons.
if(BAOZI_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
if(BAOZI_BENCH)
  find_package(benchmark REQUIRED)
endif()
find_package(Boost 1.81 REQUIRED CONFIG)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(simdjson REQUIRED)
find_package(PkgConfig REQUIRED)

# Only prometheus-cpp's core is wanted; its CMake package would pull in its web server too.
find_path(PROMETHEUS_CORE_INCLUDE prometheus/registry.h REQUIRED)
find_library(PROMETHEUS_CORE_LIBRARY prometheus-cpp-core REQUIRED)
add_library(Prometheus::Core UNKNOWN IMPORTED)
set_target_properties(Prometheus::Core PROPERTIES IMPORTED_LOCATION ${PROMETHEUS_CORE_LIBRARY}
  INTERFACE_INCLUDE_DIRECTORIES ${PROMETHEUS_CORE_INCLUDE})
