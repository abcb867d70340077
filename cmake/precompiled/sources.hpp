// What nearly every file of libs/ and services/ includes in the end. Files still include what they use: a build with
// -DMERPATI_PRECOMPILED=OFF compiles without this.
#pragma once

#include <google/protobuf/generated_message_reflection.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/map_field_inl.h>
#include <google/protobuf/message.h>
#include <google/protobuf/repeated_field.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <deque>
#include <fstream>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "merpati/base/task.hpp"
#include "merpati/rpc/channel.hpp"
#include "merpati/rpc/service.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/metrics.hpp"
#include "merpati/runtime/process.hpp"
