// merpatictl mailauth: the checks of libs/mailauth by hand, without a server.
#include <fstream>
#include <iostream>
#include <iterator>

#include "ctl/commands.hpp"
#include "ctl/mailauth_json.hpp"
#include "merpati/dns/domain_name.hpp"
#include "merpati/dns/unbound_resolver.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/runtime/process.hpp"

namespace merpati::ctl {
namespace {
struct Options {
  std::string message = "-";
  std::string resolver;
  std::string trust_anchor;
  std::string ip;
  std::string helo;
  std::string from;
  std::string key_file;
  std::string selector;
  std::string domain;
  std::string authserv_id;
  int timeout = 20;  ///< seconds
};

[[noreturn]] void fail(std::string text, std::string hint = {}) {
  throw Failure{Error(ErrorCode::kInvalidArgument, std::move(text)), std::move(hint)};
}

std::string read_all(const std::string& path, const std::string& what) {
  constexpr std::size_t kMost = 256u << 20;
  std::string out;
  std::ifstream file;
  if (path != "-") {
    file.open(path, std::ios::binary);
    if (!file) fail("cannot read the " + what + " " + path, "give a file that exists, or - for standard input");
  }
  std::istream& in = path == "-" ? std::cin : file;
  char buffer[65536];
  while (in.read(buffer, sizeof buffer), in.gcount() > 0) {
    out.append(buffer, static_cast<std::size_t>(in.gcount()));
    if (out.size() > kMost) fail("the " + what + " is larger than 256 MiB");
  }
  return out;
}

// "HOST:PORT", "[v6]:PORT" or an address alone, as libunbound wants it.
std::string server_of(std::string text) {
  const auto colon = text.rfind(':');
  std::string port;
  const bool bare_v6 = text.find(':') != colon && !text.starts_with('[');
  if (colon != std::string::npos && !bare_v6 && !text.ends_with(']')) {
    port = "@" + text.substr(colon + 1);
    text.resize(colon);
  }
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  boost::system::error_code error;
  boost::asio::ip::make_address(text, error);
  if (error) fail("--resolver: \"" + text + "\" is no IP address", "such as 127.0.0.1:53 or [::1]:53");
  return text + port;
}

dns::IpAddress client_of(const Options& options) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(options.ip, error);
  if (error)
    fail("--ip: \"" + options.ip + "\" is no IP address", "it is the address of the client that sent the mail");
  return address;
}

// A loop and a resolver for the length of one command.
class Lookup {
 public:
  explicit Lookup(const Options& options) : options_(options) {
    loops_.start();
    dns::UnboundOptions how;
    if (!options.resolver.empty()) how.servers = {server_of(options.resolver)};
    how.trust_anchor_file = options.trust_anchor;
    auto made = dns::make_unbound_resolver(loops_.main(), how);
    if (made.has_error()) throw Failure{made.error(), "name a DNS server with --resolver HOST:PORT"};
    resolver_ = *std::move(made);
  }
  template <class T>
  T run(Task<T> task) {
    auto result = runtime::block_on(loops_.main(), std::move(task));
    if (result.has_error()) throw Failure{std::move(result).error(), {}};
    return *std::move(result);
  }
  dns::Resolver& dns() { return *resolver_; }
  Deadline deadline() const { return Deadline::after(std::chrono::seconds(options_.timeout)); }

 private:
  const Options& options_;
  runtime::Loops loops_{1};
  std::shared_ptr<dns::Resolver> resolver_;
};

void print(const Session& session, const Json& object) {
  print_one(session.format == Format::kTable ? Format::kJson : session.format, object);
}

mailauth::SpfQuery spf_query(const Options& options) {
  mailauth::SpfQuery query;
  query.client = client_of(options);
  query.helo = options.helo;
  query.mail_from = options.from;
  return query;
}

void check_spf(const Session& session, const Options& options) {
  if (options.helo.empty() && options.from.empty())
    fail("nothing to check", "give --from ADDRESS, --helo NAME or both");
  Lookup lookup(options);
  const auto outcome = lookup.run(mailauth::check_spf(lookup.dns(), spf_query(options), lookup.deadline()));
  print(session, to_json(outcome));
}

void check_dkim(const Session& session, const Options& options) {
  const std::string message = read_all(options.message, "message");
  Lookup lookup(options);
  print(session,
        to_json(lookup.run(mailauth::verify_dkim(lookup.dns(), message, WallTime::clock::now(), lookup.deadline()))));
}

void check_arc(const Session& session, const Options& options) {
  const std::string message = read_all(options.message, "message");
  Lookup lookup(options);
  print(session,
        to_json(lookup.run(mailauth::verify_arc(lookup.dns(), message, WallTime::clock::now(), lookup.deadline()))));
}

// All checks of a message; SPF and iprev only where the client's address is known.
mailauth::Authentication check_all(Lookup& lookup, const Options& options, const std::string& message) {
  const auto size = mime::header_block_size(message);
  mailauth::AuthenticationQuery query;
  if (!options.ip.empty()) query.client = client_of(options);
  query.helo = options.helo;
  query.reverse_path = options.from;
  query.header_block = std::string_view(message).substr(0, size);
  query.body = std::string_view(message).substr(size);
  query.lookup_time = std::chrono::seconds(options.timeout);
  return lookup.run(mailauth::authenticate(lookup.dns(), std::move(query), Deadline::never()));
}

void check_dmarc(const Session& session, const Options& options) {
  const std::string message = read_all(options.message, "message");
  Lookup lookup(options);
  const auto all = check_all(lookup, options, message);
  const std::string name = options.authserv_id.empty() ? "localhost" : options.authserv_id;
  Json json = to_json(all);
  json["authentication_results"] = mailauth::write_authentication_results(name, all.methods);
  print(session, json);
}

mailauth::SigningKey key_of(const Options& options) {
  auto key = mailauth::SigningKey::from_pem(read_all(options.key_file, "key file"));
  if (key.has_error()) throw Failure{std::move(key).error().in(options.key_file), {}};
  return *std::move(key);
}

// The fields, ready to stand on top of the message; or as JSON with the record that belongs into DNS.
void print_fields(const Session& session, const Options& options, const mailauth::SigningKey& key,
                  const Result<std::string>& fields) {
  if (fields.has_error()) throw Failure{fields.error(), {}};
  if (session.format == Format::kTable) {
    std::cout << *fields;
    return;
  }
  print(session, Json{{"header", *fields},
                      {"dns_name", options.selector + "._domainkey." + options.domain},
                      {"dns_record", key.key_record()}});
}

void sign(const Session& session, const Options& options) {
  const auto key = key_of(options);
  mailauth::DkimSignOptions how;
  how.domain = options.domain;
  how.selector = options.selector;
  print_fields(session, options, key, mailauth::sign_dkim(read_all(options.message, "message"), key, how));
}

void seal(const Session& session, const Options& options) {
  const auto key = key_of(options);
  const std::string message = read_all(options.message, "message");
  const auto size = mime::header_block_size(message);
  Lookup lookup(options);
  const auto all = check_all(lookup, options, message);
  mailauth::BodyHashes hashes;
  hashes.add(mailauth::Canonical::kRelaxed, std::nullopt);
  hashes.update(std::string_view(message).substr(size));
  hashes.finish();
  mailauth::ArcSealOptions how;
  how.domain = options.domain;
  how.selector = options.selector;
  how.authserv_id = options.authserv_id.empty() ? options.domain : options.authserv_id;
  how.results = mailauth::write_methods(all.methods);
  print_fields(session, options, key,
               mailauth::seal_arc(std::string_view(message).substr(0, size), hashes, *all.arc, key, how));
}

void add_lookup_options(CLI::App* command, Options& options) {
  command->add_option("--resolver", options.resolver, "DNS server, HOST:PORT; default: /etc/resolv.conf");
  command->add_option("--trust-anchor", options.trust_anchor, "file with the root's key, to validate DNSSEC");
  command->add_option("--timeout", options.timeout, "seconds for each check")->capture_default_str();
}
void add_client_options(CLI::App* command, Options& options, bool required) {
  auto* ip = command->add_option("--ip", options.ip, "address of the client that sent the message");
  if (required) ip->required();
  command->add_option("--helo", options.helo, "name in the client's EHLO or HELO");
  command->add_option("--from", options.from, "reverse-path, without brackets; empty: a bounce's");
}
void add_message(CLI::App* command, Options& options) {
  command->add_option("message", options.message, "file, or - for standard input")->capture_default_str();
}
void add_key_options(CLI::App* command, Options& options) {
  command->add_option("--key", options.key_file, "file with the private key, PEM, RSA or Ed25519")->required();
  command->add_option("--selector", options.selector, "the key's name below _domainkey")->required();
  command->add_option("--domain", options.domain, "that signs")->required();
}
}  // namespace

void add_mailauth_commands(CLI::App& app, Session& session) {
  auto* group = add_group(app, "mailauth", "Check, sign and seal a message by hand, without a server");
  const auto options = std::make_shared<Options>();
  const auto add = [&](const char* name, const char* help, void (*action)(const Session&, const Options&)) {
    auto* command = group->add_subcommand(name, help);
    command->callback([&session, options, action] {
      session.run_locally = [&session, options, action] {
        action(session, *options);
        return 0;
      };
    });
    return command;
  };
  auto* spf = add("spf", "May this address send for this sender? (SPF)", check_spf);
  add_client_options(spf, *options, true);
  add_lookup_options(spf, *options);
  for (auto* command : {add("dkim", "Verify the DKIM signatures of a message", check_dkim),
                        add("arc", "Verify the ARC chain of a message", check_arc)}) {
    add_message(command, *options);
    add_lookup_options(command, *options);
  }
  auto* dmarc = add("dmarc", "All checks of a message, and what its author's domain asks for (DMARC)", check_dmarc);
  auto* sealing = add("seal", "Print the fields of a further ARC set for a message", seal);
  for (auto* command : {dmarc, sealing}) {
    add_message(command, *options);
    add_client_options(command, *options, false);
    add_lookup_options(command, *options);
    command->add_option("--authserv-id", options->authserv_id, "our name in Authentication-Results");
  }
  auto* signing = add("sign", "Print a DKIM-Signature for a message", sign);
  add_message(signing, *options);
  for (auto* command : {signing, sealing}) add_key_options(command, *options);
}

}  // namespace merpati::ctl
