#include "service/tls.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "base/error.h"
#include "gtest/gtest.h"
#include "mneme/v1/admin_service.grpc.pb.h"
#include "mneme/v1/memory_service.grpc.pb.h"
#include "proto/status.h"
#include "service/access_table.h"
#include "service/server.h"
#include "tests/testing/certificates.h"
#include "tests/testing/map_store.h"

namespace mneme::service {
namespace {

using testing::Authority;
using testing::Identity;

constexpr char kHosts[] = "IP:127.0.0.1,DNS:localhost";
// A rotated file must count by then, also on a busy machine.
constexpr std::chrono::seconds kRotation{30};

class TlsTest : public ::testing::Test {
 protected:
  TlsTest() {
    std::filesystem::create_directories(directory_);
    WriteServer(ca_.Issue("server", kHosts));
    Write("ca.pem", ca_.certificate());
  }
  ~TlsTest() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }

  std::string Path(const std::string& name) const {
    return (directory_ / name).string();
  }
  std::string Write(const std::string& name, const std::string& bytes) const {
    // As an operator should: a reader sees the old file or the new one.
    std::ofstream(Path(name + ".new")) << bytes;
    std::filesystem::rename(Path(name + ".new"), Path(name));
    return Path(name);
  }
  void WriteServer(const Identity& identity) const {
    Write("server.pem", identity.certificate);
    Write("server.key", identity.key);
  }
  TlsFiles Files(bool mutual) const {
    return {.certificate = Path("server.pem"),
            .key = Path("server.key"),
            .client_ca = mutual ? Path("ca.pem") : ""};
  }

  void Start(ServerOptions options) {
    options.listen = {"127.0.0.1:0"};
    auto server =
        Server::Start(std::make_unique<testing::MapStore>(), options, &clock_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  // What a new connection that trusts `ca` and shows `client` is answered.
  absl::Status Ask(const std::string& ca, const Identity& client = {},
                   const std::string& token = "") const {
    return AskThrough(
        grpc::SslCredentials({.pem_root_certs = ca,
                              .pem_private_key = client.key,
                              .pem_cert_chain = client.certificate}),
        token);
  }
  absl::Status AskThrough(
      const std::shared_ptr<grpc::ChannelCredentials>& credentials,
      const std::string& token = "") const {
    grpc::ChannelArguments arguments;
    // Else a channel to the same address would reuse the last connection.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto stub = v1::MemoryService::NewStub(grpc::CreateCustomChannel(
        server_->addresses().front(), credentials, arguments));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::seconds(10));
    if (!token.empty()) {
      context.AddMetadata("authorization", "Bearer " + token);
    }
    v1::StatsResponse response;
    return proto::FromGrpc(
        stub->Stats(&context, v1::StatsRequest(), &response));
  }

  // True when `ca` is the one that new connections must trust, soon.
  bool Becomes(const std::string& ca) const {
    const auto deadline = std::chrono::steady_clock::now() + kRotation;
    while (std::chrono::steady_clock::now() < deadline) {
      if (Ask(ca).ok()) return true;
    }
    return false;
  }

  const std::filesystem::path directory_ =
      std::filesystem::path(::testing::TempDir()) /
      ("mneme_tls_" + std::to_string(getpid()));
  const Authority ca_{"Authority"};
  const Authority other_{"Other authority"};
  base::RealClock clock_;
  std::unique_ptr<Server> server_;
};

TEST_F(TlsTest, FilesThatFitAreTaken) {
  EXPECT_TRUE(CheckTls({}).ok());
  EXPECT_TRUE(CheckTls(Files(false)).ok());
  EXPECT_TRUE(CheckTls(Files(true)).ok());
}

TEST_F(TlsTest, FilesThatDoNotFitAreNamed) {
  const Identity another = ca_.Issue("another");
  const auto field = [](const TlsFiles& files) {
    const absl::Status status = CheckTls(files);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return base::DetailOf(status).field;
  };
  const std::string cert = Path("server.pem");
  const std::string key = Path("server.key");
  EXPECT_EQ(field({.certificate = cert}), "tls_key");
  EXPECT_EQ(field({.key = key}), "tls_cert");
  EXPECT_EQ(field({.client_ca = Path("ca.pem")}), "tls_key");
  EXPECT_EQ(field({.certificate = Path("none"), .key = key}), "tls_cert");
  EXPECT_EQ(field({.certificate = cert, .key = Path("none")}), "tls_key");
  EXPECT_EQ(field({.certificate = cert, .key = Write("k", another.key)}),
            "tls_key");
  EXPECT_EQ(field({.certificate = key, .key = key}), "tls_cert");
  EXPECT_EQ(field({.certificate = cert, .key = Write("e", "")}), "tls_key");
  EXPECT_EQ(field({.certificate = cert, .key = key, .client_ca = key}),
            "tls_client_ca");
  EXPECT_EQ(field({.certificate = cert, .key = key, .client_ca = Path("x")}),
            "tls_client_ca");
}

TEST_F(TlsTest, AKeyWithAPassphraseIsRefusedWithoutAsking) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  BIO* memory = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(memory, key, EVP_aes_128_cbc(), nullptr, 0, nullptr,
                           const_cast<char*>("passphrase"));
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(memory, &bytes);
  Write("server.key", std::string(bytes, size));
  BIO_free(memory);
  EVP_PKEY_free(key);
  EXPECT_EQ(base::DetailOf(CheckTls(Files(false))).field, "tls_key");
}

TEST_F(TlsTest, AnExpiredCertificateIsAWarning) {
  WriteServer(ca_.Issue("server", kHosts, /*lives_seconds=*/-1));
  ::testing::internal::CaptureStderr();
  EXPECT_TRUE(CheckTls(Files(false)).ok());
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("expired"),
            std::string::npos);
}

TEST_F(TlsTest, OnlyAClientThatTrustsTheServerIsServed) {
  Start({.tls = Files(false)});
  EXPECT_TRUE(Ask(ca_.certificate()).ok());
  EXPECT_TRUE(absl::IsUnavailable(Ask(other_.certificate())));
  EXPECT_TRUE(
      absl::IsUnavailable(AskThrough(grpc::InsecureChannelCredentials())));
  EXPECT_TRUE(Ask(ca_.certificate()).ok());
}

TEST_F(TlsTest, ACertificateForAnotherHostIsNotTrusted) {
  WriteServer(ca_.Issue("127.0.0.1", "DNS:elsewhere.example"));
  Start({.tls = Files(false)});
  EXPECT_TRUE(absl::IsUnavailable(Ask(ca_.certificate())));
}

TEST_F(TlsTest, MutualTlsTurnsAwayWhoHasNoCertificateOfTheAuthority) {
  Start({.tls = Files(true)});
  const std::string ca = ca_.certificate();
  EXPECT_TRUE(Ask(ca, ca_.Issue("engine.example")).ok());
  EXPECT_FALSE(Ask(ca).ok());
  EXPECT_FALSE(Ask(ca, other_.Issue("engine.example")).ok());
  EXPECT_FALSE(Ask(ca, ca_.Issue("engine.example", "", -1)).ok());
  EXPECT_TRUE(Ask(ca, ca_.Issue("engine.example")).ok());
}

TEST_F(TlsTest, ACertificateIsWhoItsNamesSay) {
  const std::string tokens =
      Write("tokens.json",
            AccessTable(
                {{.name = "engine",
                  .certificate = "engine.example",
                  .scopes = {{.space = "*", .scope = Scope::kRead}}},
                 {.name = "by-alternative-name",
                  .certificate = "spiffe://example/agent",
                  .scopes = {{.space = "*", .scope = Scope::kRead}}},
                 {.name = "alice",
                  .token = TokenHash{.salt = "s", .digest = DigestOf("s", "t")},
                  .scopes = {{.space = "*", .scope = Scope::kRead}}}})
                .ToJson());
  Start({.tokens_file = tokens, .tls = Files(true)});
  const std::string ca = ca_.certificate();
  ::testing::internal::CaptureStderr();
  EXPECT_TRUE(Ask(ca, ca_.Issue("engine.example")).ok());
  EXPECT_TRUE(Ask(ca, ca_.Issue("x", "URI:spiffe://example/agent")).ok());
  EXPECT_TRUE(Ask(ca, ca_.Issue("nobody"), "t").ok());
  EXPECT_EQ(base::DetailOf(Ask(ca, ca_.Issue("nobody"))).reason,
            "CERTIFICATE_UNKNOWN");
  EXPECT_EQ(
      base::DetailOf(Ask(ca, ca_.Issue("engine.example"), "wrong")).reason,
      "TOKEN_UNKNOWN");
  server_->Drain();
  const std::string log = ::testing::internal::GetCapturedStderr();
  for (const char* who : {"engine", "by-alternative-name", "alice"}) {
    EXPECT_NE(log.find("\"caller\":\"" + std::string(who) + "\""),
              std::string::npos)
        << log;
  }
}

TEST_F(TlsTest, RotatedFilesCountForNewConnections) {
  Start({.tls = Files(false)});
  EXPECT_TRUE(Ask(ca_.certificate()).ok());
  EXPECT_FALSE(Ask(other_.certificate()).ok());
  WriteServer(other_.Issue("server", kHosts));
  EXPECT_TRUE(Becomes(other_.certificate()));
  EXPECT_FALSE(Ask(ca_.certificate()).ok());
}

TEST_F(TlsTest, APairThatDoesNotFitHealsWhenItDoes) {
  Start({.tls = Files(false)});
  const Identity next = other_.Issue("server", kHosts);
  Write("server.pem", next.certificate);  // The key comes later.
  const auto deadline = std::chrono::steady_clock::now() + kRotation;
  while (Ask(ca_.certificate()).ok() &&
         std::chrono::steady_clock::now() < deadline) {
  }
  Write("server.key", next.key);
  EXPECT_TRUE(Becomes(other_.certificate()));
}

TEST_F(TlsTest, CredentialsOpenAPortToOtherMachines) {
  const std::string tokens = Write("tokens.json", AccessTable({}).ToJson());
  const auto start = [this](ServerOptions options) {
    options.listen = {"0.0.0.0:0"};
    return Server::Start(std::make_unique<testing::MapStore>(), options,
                         &clock_)
        .status();
  };
  EXPECT_FALSE(start({.tls = Files(false)}).ok());
  EXPECT_FALSE(start({.tokens_file = tokens}).ok());
  EXPECT_TRUE(start({.tokens_file = tokens, .tls = Files(false)}).ok());
  EXPECT_TRUE(start({.tls = Files(true)}).ok());
  // The metrics ask nobody who they are.
  EXPECT_FALSE(start({.metrics_listen = "0.0.0.0:0", .tls = Files(true)}).ok());
}

// What Diagnose says of who is let in.
v1::Finding AccessOf(Server& server) {
  const auto stub = v1::AdminService::NewStub(server.InProcessChannel());
  grpc::ClientContext context;
  v1::DiagnoseResponse response;
  const grpc::Status status = stub->Diagnose(&context, {}, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  for (const v1::Finding& finding : response.findings()) {
    if (finding.subject() == "access") return finding;
  }
  return {};
}

TEST_F(TlsTest, AnAuthorityForClientsIsNoOpenDoor) {
  for (const bool mutual : {true, false}) {
    const auto server = Server::Start(
        std::make_unique<testing::MapStore>(),
        {.listen = {"0.0.0.0:0"}, .allow_remote = true, .tls = Files(mutual)},
        &clock_);
    ASSERT_TRUE(server.ok()) << server.status();
    EXPECT_EQ(
        AccessOf(**server).severity(),
        mutual ? v1::Finding::SEVERITY_OK : v1::Finding::SEVERITY_WARNING);
  }
}

TEST_F(TlsTest, ASocketInTheFileSystemStaysPlain) {
  const std::string path = "unix:" + Path("s");
  auto server = Server::Start(std::make_unique<testing::MapStore>(),
                              {.listen = {path}, .tls = Files(true)}, &clock_);
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
  EXPECT_TRUE(AskThrough(grpc::InsecureChannelCredentials()).ok());
}

}  // namespace
}  // namespace mneme::service
