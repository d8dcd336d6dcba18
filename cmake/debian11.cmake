# A toolchain for release builds on Linux: this machine's compiler with the C and C++ libraries of Debian 11, so
# that the result runs wherever glibc is 2.31 or newer. scripts/sysroot.mjs unpacks them; scripts/prebuild.mjs passes:
#   KINDLING_SYSROOT   where they are
#   KINDLING_TRIPLET   x86_64-linux-gnu or aarch64-linux-gnu
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES KINDLING_SYSROOT KINDLING_TRIPLET)

set(CMAKE_CXX_COMPILER ${KINDLING_TRIPLET}-g++)
if(NOT KINDLING_TRIPLET STREQUAL "x86_64-linux-gnu" OR NOT CMAKE_HOST_SYSTEM_PROCESSOR STREQUAL "x86_64")
  set(CMAKE_SYSTEM_NAME Linux)
  string(REGEX REPLACE "-.*" "" CMAKE_SYSTEM_PROCESSOR ${KINDLING_TRIPLET})
  set(CMAKE_CROSSCOMPILING_EMULATOR qemu-${CMAKE_SYSTEM_PROCESSOR})
  set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
  set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
  set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
endif()
set(CMAKE_SYSROOT ${KINDLING_SYSROOT})

# Every folder is named. Left to itself a compiler reads C++ headers of its own version and, where it compiles for
# another architecture, those of this machine's C library; the linker takes this machine's libraries where it finds
# none. Only the compiler's intrinsics are its own. As options and not as CMAKE_CXX_FLAGS_INIT, which has no effect once
# cmake-js has given flags.
execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=include
  OUTPUT_VARIABLE _intrinsics OUTPUT_STRIP_TRAILING_WHITESPACE)
set(_gcc ${KINDLING_SYSROOT}/usr/lib/gcc/${KINDLING_TRIPLET}/10)
set(_headers ${KINDLING_SYSROOT}/usr/include)
add_compile_options(-nostdinc "SHELL:-isystem ${_headers}/c++/10" "SHELL:-isystem ${_headers}/${KINDLING_TRIPLET}/c++/10"
  "SHELL:-isystem ${_intrinsics}" "SHELL:-isystem ${_headers}/${KINDLING_TRIPLET}" "SHELL:-isystem ${_headers}")
# -B for what programs start with, too: that of a newer C library does not run an older one's constructors.
add_link_options(-B${_gcc} -B${KINDLING_SYSROOT}/usr/lib/${KINDLING_TRIPLET} -L${_gcc} -L${KINDLING_SYSROOT}/usr/lib/${KINDLING_TRIPLET}
  -L${KINDLING_SYSROOT}/lib/${KINDLING_TRIPLET} -static-libstdc++ -static-libgcc)
