// SecretStore: named sets of small files, where certificates are kept: a folder, or Secrets of Kubernetes. Blocking.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "merpati/base/result.hpp"
#include "merpati/config/v1/certs.pb.h"

namespace merpati::certs {

struct Secret {
  std::map<std::string, std::string> files;
  /// What the store needs to see that somebody else wrote in between; give it back to write().
  std::string handle;
};

class SecretStore {
 public:
  virtual ~SecretStore() = default;
  /// A Secret that nobody wrote yet has no files.
  virtual Result<Secret> read(const std::string& name) = 0;
  /// Replaces all files. kAborted when somebody else wrote since `secret` was read: read again.
  virtual Result<void> write(const std::string& name, const Secret& secret) = 0;
};

/// NAME/FILE below `folder`, each file replaced at once; keys are readable by their owner only. One process at a time:
/// the folder is locked as long as the store lives.
Result<std::unique_ptr<SecretStore>> directory_store(const std::string& folder);

/// One request to the API server.
struct ApiAnswer {
  long status = 0;
  std::string body;
};
class ApiServer {
 public:
  virtual ~ApiServer() = default;
  /// `path` from /api on; an empty body is a GET, another one a PUT of JSON. Errors are of the connection only.
  virtual Result<ApiAnswer> request(const std::string& path, const std::string& body) = 0;
};

/// HTTPS with the pod's service account.
Result<std::unique_ptr<ApiServer>> api_server(const config::v1::KubernetesSecrets& config);

/// Secrets in `name_space` (never made, only read and replaced).
std::unique_ptr<SecretStore> kubernetes_store(std::unique_ptr<ApiServer> server, std::string name_space);

/// The pod's namespace, unless the configuration names one.
Result<std::string> namespace_of(const config::v1::KubernetesSecrets& config);

}  // namespace merpati::certs
