# Precompiled headers: half of a small file's compilation is headers.
# merpati_precompile(TARGET sources|tests)  uses one of the two that all targets of a kind share (cmake/precompiled/)
# merpati_precompile(TARGET <HEADER>)       makes one of HEADER, which all files of the target include
#
# ccache cannot look into a precompiled header. It is told a checksum of what the header comes to (NAME.sum), which does not
# depend on where the checkout is, so that checkouts share a cache.
option(MERPATI_PRECOMPILED "Use precompiled headers" ON)
# CMake names the header a second time, by a path that ccache would take to be part of the source.
set(CMAKE_CXX_COMPILE_OPTIONS_USE_PCH -Xclang -include-pch -Xclang <PCH_FILE>)
add_compile_options(-pthread)  # or the targets would differ from the header

# The header that `target` precompiles, its checksum, and the target TARGET_checksum that makes it.
function(merpati_precompiled_checksum target)
  set(made ${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/${target}.dir/cmake_pch.hxx)
  add_custom_command(OUTPUT ${made}.pch.sum
    COMMAND ${CMAKE_CXX_COMPILER} -std=c++20 -E -P -x c++ "-D$<JOIN:$<TARGET_PROPERTY:${target},COMPILE_DEFINITIONS>,;-D>"
            "-I$<JOIN:$<TARGET_PROPERTY:${target},INCLUDE_DIRECTORIES>,;-I>" ${made} -o ${made}.ii
    COMMAND sh -c "sha256sum <${made}.ii >${made}.pch.sum && rm ${made}.ii"
    DEPENDS ${made}.pch COMMAND_EXPAND_LISTS VERBATIM)
  add_custom_target(${target}_checksum DEPENDS ${made}.pch.sum)
endfunction()

# Compiles `header`, which is named without a path of this checkout, as the sources of a target with these directories and
# libraries are compiled.
function(merpati_add_precompiled name header)
  cmake_parse_arguments(ARG "" "" "INCLUDES;DEPS" ${ARGN})
  set(target merpati_precompiled_${name})
  add_library(${target} OBJECT ${CMAKE_SOURCE_DIR}/cmake/precompiled/empty.cpp)
  target_include_directories(${target} PRIVATE ${ARG_INCLUDES})
  target_link_libraries(${target} PRIVATE ${ARG_DEPS})
  target_precompile_headers(${target} PRIVATE ${header})
  target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")  # what counts is what the headers say
  set_target_properties(${target} PROPERTIES CXX_COMPILER_LAUNCHER "")  # it holds paths of this checkout
  merpati_precompiled_checksum(${target})
endfunction()

function(merpati_precompile target which)
  if(NOT MERPATI_PRECOMPILED)
    return()
  endif()
  set(provider merpati_precompiled_${which})
  if(NOT TARGET ${provider})
    get_target_property(deps ${target} LINK_LIBRARIES)
    set(provider merpati_precompiled_for_${target})
    merpati_add_precompiled(for_${target} ${which} INCLUDES ${CMAKE_SOURCE_DIR}/services DEPS ${deps})
  endif()
  target_precompile_headers(${target} REUSE_FROM ${provider})
  add_dependencies(${target} ${provider}_checksum)
endfunction()

if(MERPATI_PRECOMPILED)
  foreach(kind sources tests)
    merpati_add_precompiled(${kind} <${kind}.hpp> INCLUDES ${CMAKE_SOURCE_DIR}/cmake/precompiled ${CMAKE_SOURCE_DIR}/libs/base/include
                            ${CMAKE_SOURCE_DIR}/libs/rpc/include ${CMAKE_SOURCE_DIR}/libs/runtime/include)
  endforeach()
  target_link_libraries(merpati_precompiled_tests PRIVATE GTest::gmock GTest::gtest)
  # As what is compiled for programs.
  set_target_properties(merpati_precompiled_tests PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(merpati_precompiled_tests PRIVATE -fPIE)
endif()
