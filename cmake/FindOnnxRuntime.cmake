# ONNX Runtime: OnnxRuntime::Headers (C and C++ API headers) and OnnxRuntime::OnnxRuntime (with
# the library). Looks into BAOZI_ORT_ROOT (variable or environment) when that is set, else into
# what setup/setup.sh fetched (BAOZI_CACHE or .cache in the checkout), else into the system. Sets
# OnnxRuntime_FOUND, OnnxRuntime_INCLUDE_DIR, OnnxRuntime_LIBRARY and OnnxRuntime_API_VERSION.

set(_ort_root "${BAOZI_ORT_ROOT}")
if(NOT _ort_root)
  set(_ort_root "$ENV{BAOZI_ORT_ROOT}")
endif()
set(_ort_only)
if(_ort_root)
  set(_ort_hints "${_ort_root}")
  # A root that was named and lacks it is an error, not a reason to look elsewhere.
  set(_ort_only NO_DEFAULT_PATH)
else()
  set(_ort_cache "$ENV{BAOZI_CACHE}")
  if(NOT _ort_cache)
    set(_ort_cache ".cache")
  endif()
  get_filename_component(_ort_cache "${_ort_cache}" ABSOLUTE BASE_DIR "${PROJECT_SOURCE_DIR}")
  set(_ort_hints "${_ort_cache}/ort")
endif()

find_path(OnnxRuntime_INCLUDE_DIR onnxruntime_cxx_api.h HINTS ${_ort_hints}
  PATH_SUFFIXES include include/onnxruntime onnxruntime include/onnxruntime/core/session
  ${_ort_only})
find_library(OnnxRuntime_LIBRARY onnxruntime HINTS ${_ort_hints}
  PATH_SUFFIXES lib lib64 ${_ort_only})
mark_as_advanced(OnnxRuntime_INCLUDE_DIR OnnxRuntime_LIBRARY)

if(OnnxRuntime_INCLUDE_DIR)
  file(STRINGS "${OnnxRuntime_INCLUDE_DIR}/onnxruntime_c_api.h" _ort_line
    REGEX "^#define ORT_API_VERSION ")
  string(REGEX REPLACE "[^0-9]" "" OnnxRuntime_API_VERSION "${_ort_line}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OnnxRuntime
  REQUIRED_VARS OnnxRuntime_LIBRARY OnnxRuntime_INCLUDE_DIR
  REASON_FAILURE_MESSAGE
    "run `make setup`, or name a folder that has include/ and lib/ with BAOZI_ORT_ROOT")

if(OnnxRuntime_FOUND AND NOT TARGET OnnxRuntime::OnnxRuntime)
  add_library(OnnxRuntime::Headers INTERFACE IMPORTED)
  target_include_directories(OnnxRuntime::Headers SYSTEM INTERFACE "${OnnxRuntime_INCLUDE_DIR}")
  add_library(OnnxRuntime::OnnxRuntime SHARED IMPORTED)
  set_target_properties(OnnxRuntime::OnnxRuntime PROPERTIES
    IMPORTED_LOCATION "${OnnxRuntime_LIBRARY}" IMPORTED_SONAME libonnxruntime.so.1)
  target_link_libraries(OnnxRuntime::OnnxRuntime INTERFACE OnnxRuntime::Headers)
endif()
