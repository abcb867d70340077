// What nearly every test includes in the end; as sources.hpp.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sources.hpp"
