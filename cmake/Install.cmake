# `cmake --install BUILD`: the program and its engines (component runtime), and what
# find_package(baozi) needs (component development): headers, static libraries, CMake files.
include(CMakePackageConfigHelpers)
include(BaoziPlugins)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/baozi)
set(modules base coro coro_asio net engine fake onnx_file llm model redis fleet keeper
  pipeline_steps pipeline pipeline_builtin api serve)

# What a plug-in is compiled with. It links nothing of baozi: the program that opens it has it.
add_library(baozi_plugin INTERFACE)
target_include_directories(baozi_plugin INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(baozi_plugin INTERFACE cxx_std_20)
target_compile_options(baozi_plugin INTERFACE
  $<$<CXX_COMPILER_ID:GNU>:-foptimize-sibling-calls>)
target_link_libraries(baozi_plugin INTERFACE fmt::fmt spdlog::spdlog)

foreach(module ${modules} plugin)
  set_target_properties(baozi_${module} PROPERTIES EXPORT_NAME ${module})
  install(TARGETS baozi_${module} EXPORT baoziTargets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/baozi COMPONENT development)
endforeach()
install(EXPORT baoziTargets NAMESPACE baozi:: DESTINATION ${package_dir} COMPONENT development)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/baozi DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  COMPONENT development FILES_MATCHING PATTERN "*.h"
  PATTERN "engine/onnx" EXCLUDE PATTERN "engine/llama" EXCLUDE PATTERN "test_plugin" EXCLUDE
  PATTERN "bench" EXCLUDE
  PATTERN "coro/uv" EXCLUDE PATTERN "test_*.h" EXCLUDE PATTERN "*_fixtures.h" EXCLUDE
  PATTERN "*_simulation.h" EXCLUDE PATTERN "pipeline/opencv" EXCLUDE
  PATTERN "counting_new.h" EXCLUDE PATTERN "scratch_folder.h" EXCLUDE
  PATTERN "onnx_writer.h" EXCLUDE)

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/baoziConfig.cmake.in
  ${PROJECT_BINARY_DIR}/baoziConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/baoziConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/baoziConfig.cmake ${PROJECT_BINARY_DIR}/baoziConfigVersion.cmake
  ${PROJECT_SOURCE_DIR}/cmake/BaoziPlugins.cmake
  DESTINATION ${package_dir} COMPONENT development)
