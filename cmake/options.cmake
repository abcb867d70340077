# Compiler settings that hold for every target of the project.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

option(MERPATI_FAIL_POINTS "Compile fail points in (test builds only)" OFF)
option(MERPATI_FUZZ "Build libFuzzer targets" OFF)
set(MERPATI_SANITIZE "" CACHE STRING "address, thread or empty")
set(MERPATI_PATIENCE 1 CACHE STRING "How many times as long a test and ./dev wait before they give up")

find_program(CCACHE ccache)
if(CCACHE)
  # With precompiled headers (cmake/precompiled.cmake) it would not cache anything otherwise.
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_ctime,include_file_mtime CCACHE_PCH_EXTSUM=1 CCACHE_DEPEND=1 ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=${MOLD})
endif()

add_compile_options(-Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers
                    -Wno-unknown-warning-option -Wno-deprecated-declarations)
add_compile_definitions(BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED)
if(MERPATI_FAIL_POINTS)
  add_compile_definitions(MERPATI_FAIL_POINTS=1)
endif()
if(MERPATI_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize=function -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(MERPATI_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
endif()
if(MERPATI_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)  # libraries too, or the fuzzer is blind
endif()
find_package(Threads REQUIRED)

# Every program of a sanitized build carries what the sanitizers shall do, so that it does not matter who starts it.
if(MERPATI_SANITIZE)
  string(TOUPPER ${MERPATI_SANITIZE} sanitizer)
  add_library(merpati_sanitizer_defaults OBJECT ${CMAKE_SOURCE_DIR}/tests/support/sanitizer_defaults.cpp
              ${CMAKE_SOURCE_DIR}/tests/support/sanitizer_grpc.cpp)
  find_program(MERPATI_SYMBOLIZER NAMES llvm-symbolizer-16 llvm-symbolizer-14 llvm-symbolizer)
  target_compile_definitions(merpati_sanitizer_defaults PRIVATE MERPATI_SANITIZE_${sanitizer}
                             $<$<BOOL:${MERPATI_SYMBOLIZER}>:MERPATI_SYMBOLIZER="${MERPATI_SYMBOLIZER}">)
  target_compile_options(merpati_sanitizer_defaults PRIVATE -fno-sanitize=all)  # it is asked before they have started
  link_libraries(merpati_sanitizer_defaults)
endif()
