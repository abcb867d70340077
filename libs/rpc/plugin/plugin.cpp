// The protoc plugin of libs/rpc. For each service it writes a class to implement (FooService) and one to call
// (FooClient), whose methods are coroutines; with the parameter "all", a table of every service of the files it is
// given.
#include <google/protobuf/compiler/code_generator.h>
#include <google/protobuf/compiler/plugin.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/printer.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <cctype>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace {

namespace pb = google::protobuf;
using Variables = std::map<std::string, std::string>;

std::string replace_all(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

std::string without_suffix(const std::string& text, const std::string& suffix) {
  if (text.size() > suffix.size() && text.ends_with(suffix)) return text.substr(0, text.size() - suffix.size());
  return text;
}

// "ListMailboxes" is list_mailboxes; a keyword gets an underscore.
std::string snake_case(const std::string& camel) {
  static const std::set<std::string> kKeywords = {"delete",   "export",  "register", "new",      "switch",
                                                  "continue", "default", "do",       "operator", "union",
                                                  "auto",     "signed",  "static",   "import"};
  std::string out;
  for (std::size_t i = 0; i < camel.size(); ++i) {
    const bool upper = std::isupper(static_cast<unsigned char>(camel[i])) != 0;
    const bool after_lower = i > 0 && std::isupper(static_cast<unsigned char>(camel[i - 1])) == 0;
    const bool before_lower = i + 1 < camel.size() && std::islower(static_cast<unsigned char>(camel[i + 1])) != 0;
    if (upper && i > 0 && (after_lower || before_lower)) out += '_';
    out += static_cast<char>(std::tolower(static_cast<unsigned char>(camel[i])));
  }
  return kKeywords.count(out) != 0 ? out + "_" : out;
}

std::string cpp_type(const pb::Descriptor& message) {
  std::string name = message.name();
  for (const auto* outer = message.containing_type(); outer != nullptr; outer = outer->containing_type())
    name = outer->name() + "_" + name;
  return "::" + replace_all(message.file()->package(), ".", "::") + "::" + name;
}

std::string base_name(const pb::ServiceDescriptor& service) { return without_suffix(service.name(), "Service"); }

// Field 1 of a request that concerns an account is its id.
bool names_account(const pb::Descriptor& message) {
  const auto* field = message.FindFieldByNumber(1);
  return field != nullptr && field->name() == "account_id" && field->type() == pb::FieldDescriptor::TYPE_INT64;
}

Variables variables_of(const pb::MethodDescriptor& method) {
  using Options = pb::MethodOptions;
  const bool in = method.client_streaming(), out = method.server_streaming();
  return {{"method", snake_case(method.name())},
          {"path", "/" + method.service()->full_name() + "/" + method.name()},
          {"request", cpp_type(*method.input_type())},
          {"response", cpp_type(*method.output_type())},
          {"class", base_name(*method.service())},
          {"index", std::to_string(method.index())},
          {"kind", in ? (out ? "kBidirectional" : "kClientStream") : (out ? "kServerStream" : "kUnary")},
          {"idempotent", method.options().idempotency_level() == Options::IDEMPOTENCY_UNKNOWN ? "false" : "true"},
          {"account", names_account(*method.input_type())
                          ? "&merpati::rpc::account_of<" + cpp_type(*method.input_type()) + ">"
                          : std::string("nullptr")}};
}

enum class Shape { kUnary, kServerStream, kClientStream, kBidirectional };
Shape shape_of(const pb::MethodDescriptor& method) {
  if (method.client_streaming()) return method.server_streaming() ? Shape::kBidirectional : Shape::kClientStream;
  return method.server_streaming() ? Shape::kServerStream : Shape::kUnary;
}

struct Texts {
  const char* served;    // declaration in FooService
  const char* unserved;  // definition of its default
  const char* dispatch;  // case of call() or call_stream()
  const char* called;    // declaration in FooClient
  const char* call;      // its definition
};

// Indexed by Shape.
const Texts kTexts[] = {
    {"  virtual merpati::Task<$response$> $method$(merpati::rpc::Context& context, const $request$& request);\n",
     "merpati::Task<$response$> $class$Service::$method$(merpati::rpc::Context&, const $request$&) {\n"
     "  co_return merpati::rpc::unimplemented(kMethods[$index$]);\n}\n",
     "    case $index$: {\n"
     "      auto result = co_await $method$(context, static_cast<const $request$&>(request));\n"
     "      if (result.has_error()) co_return std::move(result).error();\n"
     "      static_cast<$response$&>(response) = *std::move(result);\n"
     "      co_return merpati::Result<void>();\n    }\n",
     "  merpati::Task<$response$> $method$(const $request$& request, merpati::rpc::CallOptions options = {}) const;\n",
     "merpati::Task<$response$> $class$Client::$method$(const $request$& request, merpati::rpc::CallOptions options) "
     "const {\n"
     "  $response$ response;\n"
     "  auto result = co_await channel_->unary(kMethods[$index$], request, response, options);\n"
     "  if (result.has_error()) co_return std::move(result).error();\n"
     "  co_return response;\n}\n"},
    {"  virtual merpati::Task<void> $method$(merpati::rpc::Context& context, const $request$& request, "
     "merpati::rpc::Writer<$response$>& out);\n",
     "merpati::Task<void> $class$Service::$method$(merpati::rpc::Context&, const $request$&, "
     "merpati::rpc::Writer<$response$>&) {\n"
     "  co_return merpati::rpc::unimplemented(kMethods[$index$]);\n}\n",
     "    case $index$: {\n"
     "      auto request = co_await merpati::rpc::read_one<$request$>(stream);\n"
     "      if (request.has_error()) co_return std::move(request).error();\n"
     "      merpati::rpc::Writer<$response$> out(stream);\n"
     "      co_return co_await $method$(context, *request, out);\n    }\n",
     "  merpati::Task<std::unique_ptr<merpati::rpc::Reader<$response$>>> $method$(const $request$& request, "
     "merpati::rpc::CallOptions options = {}) const;\n",
     "merpati::Task<std::unique_ptr<merpati::rpc::Reader<$response$>>> $class$Client::$method$(const $request$& "
     "request, merpati::rpc::CallOptions options) const {\n"
     "  auto stream = co_await channel_->open(kMethods[$index$], &request, options);\n"
     "  if (stream.has_error()) co_return std::move(stream).error();\n"
     "  co_return std::make_unique<merpati::rpc::Reader<$response$>>(*std::move(stream));\n}\n"},
    {"  virtual merpati::Task<$response$> $method$(merpati::rpc::Context& context, merpati::rpc::Reader<$request$>& "
     "in);\n",
     "merpati::Task<$response$> $class$Service::$method$(merpati::rpc::Context&, merpati::rpc::Reader<$request$>&) {\n"
     "  co_return merpati::rpc::unimplemented(kMethods[$index$]);\n}\n",
     "    case $index$: {\n"
     "      merpati::rpc::Reader<$request$> in(stream);\n"
     "      auto result = co_await $method$(context, in);\n"
     "      if (result.has_error()) co_return std::move(result).error();\n"
     "      auto reply = std::make_unique<$response$>(*std::move(result));\n"
     "      co_return co_await stream.write(std::move(reply));\n    }\n",
     "  merpati::Task<std::unique_ptr<merpati::rpc::ClientWriter<$request$, $response$>>> "
     "$method$(merpati::rpc::CallOptions options = {}) const;\n",
     "merpati::Task<std::unique_ptr<merpati::rpc::ClientWriter<$request$, $response$>>> "
     "$class$Client::$method$(merpati::rpc::CallOptions options) const {\n"
     "  auto stream = co_await channel_->open(kMethods[$index$], nullptr, options);\n"
     "  if (stream.has_error()) co_return std::move(stream).error();\n"
     "  co_return std::make_unique<merpati::rpc::ClientWriter<$request$, $response$>>(*std::move(stream));\n}\n"},
    {"  virtual merpati::Task<void> $method$(merpati::rpc::Context& context, merpati::rpc::Reader<$request$>& in, "
     "merpati::rpc::Writer<$response$>& out);\n",
     "merpati::Task<void> $class$Service::$method$(merpati::rpc::Context&, merpati::rpc::Reader<$request$>&, "
     "merpati::rpc::Writer<$response$>&) {\n"
     "  co_return merpati::rpc::unimplemented(kMethods[$index$]);\n}\n",
     "    case $index$: {\n"
     "      merpati::rpc::Reader<$request$> in(stream);\n"
     "      merpati::rpc::Writer<$response$> out(stream);\n"
     "      co_return co_await $method$(context, in, out);\n    }\n",
     "  merpati::Task<std::unique_ptr<merpati::rpc::ClientStream<$request$, $response$>>> "
     "$method$(merpati::rpc::CallOptions options = {}) const;\n",
     "merpati::Task<std::unique_ptr<merpati::rpc::ClientStream<$request$, $response$>>> "
     "$class$Client::$method$(merpati::rpc::CallOptions options) const {\n"
     "  auto stream = co_await channel_->open(kMethods[$index$], nullptr, options);\n"
     "  if (stream.has_error()) co_return std::move(stream).error();\n"
     "  co_return std::make_unique<merpati::rpc::ClientStream<$request$, $response$>>(*std::move(stream));\n}\n"},
};

const Texts& texts_of(const pb::MethodDescriptor& method) { return kTexts[static_cast<int>(shape_of(method))]; }

class Generator final : public pb::compiler::CodeGenerator {
 public:
  bool Generate(const pb::FileDescriptor* file, const std::string&, pb::compiler::GeneratorContext* context,
                std::string*) const override {
    const std::string stem = without_suffix(file->name(), ".proto");
    write_header(*file, stem, *context);
    write_source(*file, stem, *context);
    return true;
  }

  bool GenerateAll(const std::vector<const pb::FileDescriptor*>& files, const std::string& parameter,
                   pb::compiler::GeneratorContext* context, std::string* error) const override {
    if (parameter != "all") return CodeGenerator::GenerateAll(files, parameter, context, error);
    write_table(files, *context);
    return true;
  }

  uint64_t GetSupportedFeatures() const override { return FEATURE_PROTO3_OPTIONAL; }

 private:
  static void write_header(const pb::FileDescriptor& file, const std::string& stem,
                           pb::compiler::GeneratorContext& context) {
    std::unique_ptr<pb::io::ZeroCopyOutputStream> stream(context.Open(stem + ".rpc.hpp"));
    pb::io::Printer out(stream.get(), '$');
    const Variables names = {{"file", file.name()}, {"stem", stem}, {"ns", replace_all(file.package(), ".", "::")}};
    out.Print(names, "// Made from $file$ by protoc-gen-merpati-rpc.\n#pragma once\n\n");
    if (file.service_count() > 0) out.Print("#include \"merpati/rpc/service.hpp\"\n");
    out.Print(names, "#include \"$stem$.pb.h\"\n");
    if (file.service_count() == 0) return;
    out.Print(names, "\nnamespace $ns$ {\n");
    for (int i = 0; i < file.service_count(); ++i) declare(*file.service(i), out);
    out.Print(names, "\n}  // namespace $ns$\n");
  }

  static void declare(const pb::ServiceDescriptor& service, pb::io::Printer& out) {
    const Variables names = {{"class", base_name(service)}, {"full", service.full_name()}};
    out.Print(names,
              "\n/// $full$, to implement: a method that is not overridden answers kUnimplemented.\n"
              "class $class$Service : public merpati::rpc::Service {\n public:\n"
              "  static std::span<const merpati::rpc::Method> method_table();\n"
              "  std::span<const merpati::rpc::Method> methods() const final { return method_table(); }\n\n");
    for (int i = 0; i < service.method_count(); ++i)
      out.Print(variables_of(*service.method(i)), texts_of(*service.method(i)).served);
    out.Print(names,
              "\n  merpati::Task<void> call(std::size_t method, merpati::rpc::Context& context, const "
              "google::protobuf::MessageLite& request,\n"
              "                           google::protobuf::MessageLite& response) final;\n"
              "  merpati::Task<void> call_stream(std::size_t method, merpati::rpc::Context& context, "
              "merpati::rpc::Stream& stream) final;\n"
              "};\n\n/// $full$, to call. Cheap to copy; any thread.\nclass $class$Client {\n public:\n"
              "  explicit $class$Client(std::shared_ptr<merpati::rpc::Channel> channel) : channel_(std::move(channel)) "
              "{}\n\n");
    for (int i = 0; i < service.method_count(); ++i)
      out.Print(variables_of(*service.method(i)), texts_of(*service.method(i)).called);
    out.Print("\n private:\n  std::shared_ptr<merpati::rpc::Channel> channel_;\n};\n");
  }

  static void write_source(const pb::FileDescriptor& file, const std::string& stem,
                           pb::compiler::GeneratorContext& context) {
    std::unique_ptr<pb::io::ZeroCopyOutputStream> stream(context.Open(stem + ".rpc.cpp"));
    pb::io::Printer out(stream.get(), '$');
    const Variables names = {{"file", file.name()}, {"stem", stem}, {"ns", replace_all(file.package(), ".", "::")}};
    out.Print(names, "// Made from $file$ by protoc-gen-merpati-rpc.\n");
    if (file.service_count() == 0) return;
    out.Print(names, "#include \"$stem$.rpc.hpp\"\n\nnamespace $ns$ {\n");
    for (int i = 0; i < file.service_count(); ++i) define(*file.service(i), out);
    out.Print(names, "\n}  // namespace $ns$\n");
  }

  static void define(const pb::ServiceDescriptor& service, pb::io::Printer& out) {
    const Variables names = {{"class", base_name(service)}};
    out.Print(names,
              "\n// $class$\nnamespace {\nnamespace table_of_$class$ {\nconst merpati::rpc::Method kMethods[] = {\n");
    for (int i = 0; i < service.method_count(); ++i)
      out.Print(variables_of(*service.method(i)),
                "    {\"$path$\", merpati::rpc::CallKind::$kind$, $idempotent$, $account$, "
                "&merpati::rpc::new_message<$request$>,\n"
                "     &merpati::rpc::new_message<$response$>},\n");
    out.Print(names,
              "};\n}  // namespace table_of_$class$\n}  // namespace\n\n"
              "std::span<const merpati::rpc::Method> $class$Service::method_table() { return "
              "table_of_$class$::kMethods; }\n\n");
    for (int i = 0; i < service.method_count(); ++i) {
      auto variables = variables_of(*service.method(i));
      const auto& texts = texts_of(*service.method(i));
      const std::string table = "table_of_" + base_name(service) + "::kMethods";
      out.Print(variables, replace_all(texts.unserved, "kMethods", table).c_str());
      out.Print(variables, replace_all(texts.call, "kMethods", table).c_str());
    }
    out.Print(names,
              "\nmerpati::Task<void> $class$Service::call([[maybe_unused]] std::size_t method, [[maybe_unused]] "
              "merpati::rpc::Context& context,\n"
              "    [[maybe_unused]] const google::protobuf::MessageLite& request, [[maybe_unused]] "
              "google::protobuf::MessageLite& response) {\n"
              "  switch (method) {\n");
    print_cases(service, out, true);
    out.Print(names,
              "    default: co_return merpati::rpc::no_such_method();\n  }\n}\n\n"
              "merpati::Task<void> $class$Service::call_stream([[maybe_unused]] std::size_t method, [[maybe_unused]] "
              "merpati::rpc::Context& context,\n"
              "    [[maybe_unused]] merpati::rpc::Stream& stream) {\n  switch (method) {\n");
    print_cases(service, out, false);
    out.Print("    default: co_return merpati::rpc::no_such_method();\n  }\n}\n");
  }

  static void print_cases(const pb::ServiceDescriptor& service, pb::io::Printer& out, bool unary) {
    for (int i = 0; i < service.method_count(); ++i)
      if ((shape_of(*service.method(i)) == Shape::kUnary) == unary)
        out.Print(variables_of(*service.method(i)), texts_of(*service.method(i)).dispatch);
  }

  static void write_table(const std::vector<const pb::FileDescriptor*>& files,
                          pb::compiler::GeneratorContext& context) {
    std::unique_ptr<pb::io::ZeroCopyOutputStream> stream(context.Open("merpati/rpc/all_services.cpp"));
    pb::io::Printer out(stream.get(), '$');
    out.Print(
        "// Every service of the project, by protoc-gen-merpati-rpc.\n#include \"merpati/rpc/all_services.hpp\"\n\n");
    for (const auto* file : files)
      if (file->service_count() > 0)
        out.Print(Variables{{"stem", without_suffix(file->name(), ".proto")}}, "#include \"$stem$.rpc.hpp\"\n");
    out.Print(
        "\nnamespace merpati::rpc {\nstd::vector<std::unique_ptr<Service>> all_services() {\n"
        "  std::vector<std::unique_ptr<Service>> all;\n");
    for (const auto* file : files)
      for (int i = 0; i < file->service_count(); ++i)
        out.Print(Variables{{"type", replace_all(file->package(), ".", "::") + "::" + base_name(*file->service(i)) +
                                         "Service"}},
                  "  all.push_back(std::make_unique<$type$>());\n");
    out.Print("  return all;\n}\n}  // namespace merpati::rpc\n");
  }
};

}  // namespace

int main(int argc, char** argv) {
  const Generator generator;
  return pb::compiler::PluginMain(argc, argv, &generator);
}
