# llama.cpp: Llama::Llama, with llama.h and ggml's headers. Looks into BAOZI_LLAMA_ROOT (variable or
# environment) when that is set, else into what setup/setup.sh fetched (BAOZI_CACHE or .cache in the
# checkout), else into the system. Sets Llama_FOUND, Llama_INCLUDE_DIR, Llama_LIBRARY, Ggml_LIBRARY,
# Ggml_BASE_LIBRARY and Llama_LIBRARY_DIR.

set(_llama_root "${BAOZI_LLAMA_ROOT}")
if(NOT _llama_root)
  set(_llama_root "$ENV{BAOZI_LLAMA_ROOT}")
endif()
set(_llama_only)
if(_llama_root)
  set(_llama_hints "${_llama_root}")
  # A root that was named and lacks it is an error, not a reason to look elsewhere.
  set(_llama_only NO_DEFAULT_PATH)
else()
  set(_llama_cache "$ENV{BAOZI_CACHE}")
  if(NOT _llama_cache)
    set(_llama_cache ".cache")
  endif()
  get_filename_component(_llama_cache "${_llama_cache}" ABSOLUTE BASE_DIR "${PROJECT_SOURCE_DIR}")
  set(_llama_hints "${_llama_cache}/llama")
endif()

find_path(Llama_INCLUDE_DIR llama.h HINTS ${_llama_hints} PATH_SUFFIXES include ${_llama_only})
find_library(Llama_LIBRARY NAMES llama libllama.v0.5.0.so HINTS ${_llama_hints}
  PATH_SUFFIXES lib lib64 ${_llama_only})
find_library(Ggml_LIBRARY NAMES ggml libggml.v0.5.0.so HINTS ${_llama_hints}
  PATH_SUFFIXES lib lib64 ${_llama_only})
find_library(Ggml_BASE_LIBRARY NAMES ggml-base HINTS ${_llama_hints}
  PATH_SUFFIXES lib lib64 ${_llama_only})
mark_as_advanced(Llama_INCLUDE_DIR Llama_LIBRARY Ggml_LIBRARY Ggml_BASE_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Llama
  REQUIRED_VARS Llama_LIBRARY Ggml_LIBRARY Ggml_BASE_LIBRARY Llama_INCLUDE_DIR
  REASON_FAILURE_MESSAGE
    "run `make setup`, or name a folder that has include/ and lib/ with BAOZI_LLAMA_ROOT")

if(Llama_FOUND AND NOT TARGET Llama::Llama)
  get_filename_component(Llama_LIBRARY_DIR "${Llama_LIBRARY}" DIRECTORY)
  add_library(Llama::Llama INTERFACE IMPORTED)
  target_include_directories(Llama::Llama SYSTEM INTERFACE "${Llama_INCLUDE_DIR}")
  target_link_libraries(Llama::Llama INTERFACE
    "${Llama_LIBRARY}" "${Ggml_LIBRARY}" "${Ggml_BASE_LIBRARY}")
endif()
