# llama.cpp: Llama::Llama, with llama.h and ggml's headers. Looks into BAOZI_LLAMA_ROOT (variable or
# environment) when that is set, else into what setup/setup.sh fetched (BAOZI_CACHE or .cache in the
# checkout), else into the system. Sets Llama_FOUND, Llama_INCLUDE_DIR, Llama_LIBRARY, Ggml_LIBRARY,
# Ggml_BASE_LIBRARY and Llama_LIBRARY_DIR. Llama::Common, its chat templates and schemas, is there
# when the same place has libllama-common and its headers: Llama_COMMON_LIBRARY,
# Llama_COMMON_INCLUDE_DIR.

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
# A C++ interface that changes with every release: only what lies beside the library above fits it.
if(Llama_LIBRARY)
  get_filename_component(Llama_LIBRARY_DIR "${Llama_LIBRARY}" DIRECTORY)
  find_library(Llama_COMMON_LIBRARY NAMES llama-common HINTS ${Llama_LIBRARY_DIR} NO_DEFAULT_PATH)
  find_path(Llama_COMMON_INCLUDE_DIR chat.h HINTS ${Llama_INCLUDE_DIR} PATH_SUFFIXES llama-common
    NO_DEFAULT_PATH)
endif()
mark_as_advanced(Llama_INCLUDE_DIR Llama_LIBRARY Ggml_LIBRARY Ggml_BASE_LIBRARY
  Llama_COMMON_LIBRARY Llama_COMMON_INCLUDE_DIR)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Llama
  REQUIRED_VARS Llama_LIBRARY Ggml_LIBRARY Ggml_BASE_LIBRARY Llama_INCLUDE_DIR
  REASON_FAILURE_MESSAGE
    "run `make setup`, or name a folder that has include/ and lib/ with BAOZI_LLAMA_ROOT")

if(Llama_FOUND AND NOT TARGET Llama::Llama)
  add_library(Llama::Llama INTERFACE IMPORTED)
  target_include_directories(Llama::Llama SYSTEM INTERFACE "${Llama_INCLUDE_DIR}")
  target_link_libraries(Llama::Llama INTERFACE
    "${Llama_LIBRARY}" "${Ggml_LIBRARY}" "${Ggml_BASE_LIBRARY}")
endif()

if(TARGET Llama::Llama AND Llama_COMMON_LIBRARY AND Llama_COMMON_INCLUDE_DIR
    AND NOT TARGET Llama::Common)
  add_library(Llama::Common INTERFACE IMPORTED)
  target_include_directories(Llama::Common SYSTEM INTERFACE "${Llama_COMMON_INCLUDE_DIR}")
  target_link_libraries(Llama::Common INTERFACE "${Llama_COMMON_LIBRARY}" Llama::Llama)
endif()
