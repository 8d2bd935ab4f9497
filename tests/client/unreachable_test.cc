#include "client/unreachable.h"

#include "base/error.h"
#include "gmock/gmock.h"

namespace mneme::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kAddress[] = "example:7788";

struct Told {
  std::string reason;
  std::string message;
};

// What a person is told when gRPC says `said`.
Told Tell(const std::string& said, const Credentials& credentials = {}) {
  const absl::Status status =
      Unreachable(absl::UnavailableError("failed to connect: " + said),
                  kAddress, credentials);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ(base::DetailOf(status).metadata.at("address"), kAddress);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(kAddress), HasSubstr(said)));
  return {base::DetailOf(status).reason, std::string(status.message())};
}

TEST(Unreachable, NobodyIsAnsweredByAdviceToStartAServer) {
  const Told told = Tell("Connection refused");
  EXPECT_EQ(told.reason, "NO_SERVER");
  EXPECT_THAT(told.message, HasSubstr("mneme serve"));
}

TEST(Unreachable, AServerThatHangsUpMayWantWhatWasNotGiven) {
  EXPECT_THAT(Tell("Socket closed").message,
              AllOf(HasSubstr("--tls-ca"), Not(HasSubstr("mneme serve"))));
  EXPECT_THAT(Tell("Socket closed", {.ca_file = "ca"}).message,
              AllOf(HasSubstr("--tls-cert"), HasSubstr("--tls-key")));
  EXPECT_THAT(
      Tell("Socket closed", {.cert_file = "c", .key_file = "k"}).message,
      HasSubstr("another authority"));
}

TEST(Unreachable, AServerWithAnotherCertificateIsThere) {
  const Told named = Tell("Peer name example is not in peer certificate");
  EXPECT_EQ(named.reason, "SERVER_NOT_TRUSTED");
  EXPECT_THAT(named.message, HasSubstr("subjectAltName"));
  const Told signed_by = Tell("SSL routines::certificate verify failed");
  EXPECT_EQ(signed_by.reason, "SERVER_NOT_TRUSTED");
  EXPECT_THAT(signed_by.message, HasSubstr("--tls-ca"));
}

TEST(Unreachable, WhatIsNoServerOfOursIsSaidToBeNone) {
  for (const char* said :
       {"Trying to connect an http1.x server", "Failed parsing HTTP/2",
        "Received http2 header with status: 404",
        "SSL routines::wrong version number"}) {
    EXPECT_EQ(Tell(said).reason, "NOT_A_SERVER") << said;
  }
  // That of a web server comes with the code of its status.
  const absl::Status web = Unreachable(
      absl::UnimplementedError("Received http2 header with status: 404"),
      kAddress, {});
  EXPECT_EQ(base::DetailOf(web).reason, "NOT_A_SERVER");
  const absl::Status other =
      Unreachable(absl::UnimplementedError(""), kAddress, {});
  EXPECT_EQ(base::DetailOf(other).reason, "NOT_A_SERVER");
}

TEST(Unreachable, WhatAServerSaidItselfStays) {
  const absl::Status status = absl::InternalError("no");
  EXPECT_EQ(Unreachable(status, kAddress, {}), status);
}

}  // namespace
}  // namespace mneme::client
