// Sections on their way to other processes: as a descriptor that a child inherits, or passed over a Unix socket to a process
// that runs already.
//
// The socket's name is 128 random bits (abstract on Linux; on macOS a file in a new folder of mode 0700), the secret another
// 128. A thread serves it: it takes a connection, asks the kernel who is at the other end, reads the secret, and only if both
// are right sends the descriptor, once. Whoever else connects is turned away and changes nothing. The receiver in turn takes
// descriptors from its own user and from root only. It answers when it has become a user of the mapping's name: until then the
// sender holds the section, so that the name is never without a user on the way.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <utility>

#include "section_posix.h"

namespace foliodb::platform {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kHexLength = 32;
/** How long a connection may take to say its secret. */
constexpr int kSecretWaitMs = 2000;
/** How long a receiver may take to become a user of the name: a few system calls. */
constexpr int kJoinWaitMs = 5000;
#if defined(MSG_NOSIGNAL)
constexpr int kSendFlags = MSG_NOSIGNAL;
#else
constexpr int kSendFlags = 0;
#endif
constexpr char kGranted = 'y';
constexpr char kJoined = 'j';

int millisecondsUntil(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return left <= 0 ? 0 : static_cast<int>(left < 1000000000 ? left + 1 : 1000000000);
}

Status openSocket(File* made) {
#if defined(__linux__)
  return opened(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket", made);
#else
  const Status status = opened(::socket(AF_UNIX, SOCK_STREAM, 0), "socket", made);
  return status.ok() ? check(::fcntl(descriptor(*made), F_SETFD, FD_CLOEXEC), "fcntl") : status;
#endif
}

/** `place`: on Linux the abstract name, elsewhere a path. */
bool socketAddress(const std::string& place, sockaddr_un* address, socklen_t* length) {
  std::memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
#if defined(__linux__)
  const size_t skip = 1;
#else
  const size_t skip = 0;
#endif
  if (place.empty() || place.size() + skip >= sizeof address->sun_path) return false;
  std::memcpy(address->sun_path + skip, place.data(), place.size());
  *length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + skip + place.size());
  return true;
}

/** Who is at the other end, as the kernel says. */
bool peerOf(const File& connection, int64_t* pid, uid_t* user) {
#if defined(__linux__)
  ucred credentials = {};
  socklen_t length = sizeof credentials;
  if (::getsockopt(descriptor(connection), SOL_SOCKET, SO_PEERCRED, &credentials, &length) == -1) return false;
  *pid = credentials.pid;
  *user = credentials.uid;
  return true;
#elif defined(__APPLE__)
  pid_t process = 0;
  gid_t group = 0;
  socklen_t length = sizeof process;
  if (::getsockopt(descriptor(connection), SOL_LOCAL, LOCAL_PEERPID, &process, &length) == -1) return false;
  if (::getpeereid(descriptor(connection), user, &group) == -1) return false;
  *pid = process;
  return true;
#else
  (void)connection, (void)pid, (void)user;
  return false;
#endif
}

/** Waits until there is something to read. False: time is up, or `wake` was written to. */
bool waitReadable(const File& file, const File& wake, Clock::time_point deadline) {
  pollfd waited[2] = {{descriptor(file), POLLIN, 0}, {descriptor(wake), POLLIN, 0}};
  const nfds_t count = wake.isOpen() ? 2 : 1;
  while (true) {
    const int limit = millisecondsUntil(deadline);
    const int ready = ::poll(waited, count, limit);
    if (ready == -1 && errno == EINTR) continue;
    if (ready <= 0 || (count == 2 && waited[1].revents != 0)) return false;
    return true;
  }
}

bool readSecret(const File& connection, const File& wake, char* secret) {
  const Clock::time_point deadline = Clock::now() + std::chrono::milliseconds(kSecretWaitMs);
  size_t done = 0;
  while (done < kHexLength) {
    if (!waitReadable(connection, wake, deadline)) return false;
    const ssize_t got = ::recv(descriptor(connection), secret + done, kHexLength - done, 0);
    if (got == -1 && errno == EINTR) continue;
    if (got <= 0) return false;
    done += static_cast<size_t>(got);
  }
  return true;
}

/** In the same time whatever differs. */
bool isEqualSecret(const char* left, const char* right) {
  unsigned char difference = 0;
  for (size_t i = 0; i < kHexLength; i++) difference |= static_cast<unsigned char>(left[i] ^ right[i]);
  return difference == 0;
}

/** Room for one descriptor beside a message, aligned as the system wants it. */
union ControlSpace {
  cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int))];
};

bool sendDescriptor(const File& connection, const File& file) {
  char granted = kGranted;
  iovec content = {&granted, 1};
  ControlSpace space;
  std::memset(&space, 0, sizeof space);
  msghdr message = {};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  message.msg_control = space.bytes;
  message.msg_controllen = sizeof space.bytes;
  cmsghdr* const control = CMSG_FIRSTHDR(&message);
  control->cmsg_level = SOL_SOCKET;
  control->cmsg_type = SCM_RIGHTS;
  control->cmsg_len = CMSG_LEN(sizeof(int));
  const int number = descriptor(file);
  std::memcpy(CMSG_DATA(control), &number, sizeof number);
  return retry([&] { return ::sendmsg(descriptor(connection), &message, kSendFlags); }) == 1;
}

bool receiveDescriptor(const File& connection, File* file) {
  char granted = 0;
  iovec content = {&granted, 1};
  ControlSpace space;
  std::memset(&space, 0, sizeof space);
  msghdr message = {};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  message.msg_control = space.bytes;
  message.msg_controllen = sizeof space.bytes;
#if defined(MSG_CMSG_CLOEXEC)
  const int flags = MSG_CMSG_CLOEXEC;
#else
  const int flags = 0;
#endif
  if (retry([&] { return ::recvmsg(descriptor(connection), &message, flags); }) != 1) return false;
  const cmsghdr* const control = CMSG_FIRSTHDR(&message);
  if (control == nullptr || control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS ||
      control->cmsg_len != CMSG_LEN(sizeof(int))) {
    return false;
  }
  int number = -1;
  std::memcpy(&number, CMSG_DATA(control), sizeof number);
  *file = File(number);
  ::fcntl(number, F_SETFD, FD_CLOEXEC);
  return granted == kGranted;
}

class SocketHanding final : public Handing {
 public:
  explicit SocketHanding(std::function<void()> onEnd) : onEnd_(std::move(onEnd)) {}
  ~SocketHanding() override {
    const char stop = 0;
    // Whose other end is open until the thread has ended.
    if (wakeSend_.isOpen() && !ended_.load() && ::write(descriptor(wakeSend_), &stop, 1) == -1) {
      // The pipe is ours and empty: it takes a byte.
    }
    thread_.join();
    removePlace();
  }
  bool ended() const override { return ended_.load(); }

  Status start(std::shared_ptr<const Section> section, File file, int64_t pid, uint32_t limitMs, std::string* address) {
    section_ = std::move(section);
    file_ = std::move(file);
    pid_ = pid;
    deadline_ = Clock::now() + std::chrono::milliseconds(limitMs);
    Status status = makePlace();
    if (status.ok()) status = randomHex(&secret_);
    if (status.ok()) status = listenThere();
    if (status.ok()) status = openWake();
    if (status.ok()) status = thread_.start([](void* self) { static_cast<SocketHanding*>(self)->serve(); }, this);
    *address = secret_ + ":" + place_;
    return status;
  }

 private:
  Status makePlace() {
    std::string digits;
    const Status status = randomHex(&digits);
    if (!status.ok()) return status;
#if defined(__linux__)
    place_ = "foliodb-" + digits;
    return Status{};
#else
    const char* const temporary = ::getenv("TMPDIR");
    folder_ = std::string(temporary == nullptr ? "/tmp" : temporary) + "/foliodb-XXXXXX";
    // Of mode 0700.
    if (::mkdtemp(&folder_[0]) == nullptr) {
      folder_.clear();
      return fail("mkdtemp");
    }
    place_ = folder_ + "/s";
    return Status{};
#endif
  }
  void removePlace() {
    if (folder_.empty()) return;
    ::unlink(place_.c_str());
    ::rmdir(folder_.c_str());
  }
  Status listenThere() {
    Status status = openSocket(&listening_);
    if (!status.ok()) return status;
    sockaddr_un address;
    socklen_t length = 0;
    if (!socketAddress(place_, &address, &length)) return Status{ENAMETOOLONG, "bind"};
    status = check(::bind(descriptor(listening_), reinterpret_cast<const sockaddr*>(&address), length), "bind");
    return status.ok() ? check(::listen(descriptor(listening_), 8), "listen") : status;
  }
  Status openWake() {
    int ends[2];
#if defined(__linux__)
    // At once: another thread may be starting a process.
    if (::pipe2(ends, O_CLOEXEC) == -1) return fail("pipe2");
#else
    if (::pipe(ends) == -1) return fail("pipe");
#endif
    wakeReceive_ = File(ends[0]);
    wakeSend_ = File(ends[1]);
    for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
    return Status{};
  }

  /** On the thread. */
  void serve() {
    while (!serveOne()) {
    }
    // From here on nobody gets in, and the section is held no longer than needed.
    listening_.close();
    file_.close();
    section_.reset();
    ended_.store(true);
    onEnd_();
  }
  /** True: nothing is left to serve. */
  bool serveOne() {
    if (!waitReadable(listening_, wakeReceive_, deadline_)) return true;
#if defined(__linux__)
    File connection(::accept4(descriptor(listening_), nullptr, nullptr, SOCK_CLOEXEC));
#else
    File connection(::accept(descriptor(listening_), nullptr, nullptr));
#endif
    // Who had connected may be gone already.
    if (!connection.isOpen()) return false;
    ::fcntl(descriptor(connection), F_SETFD, FD_CLOEXEC);
    int64_t pid = 0;
    uid_t user = 0;
    if (!peerOf(connection, &pid, &user) || pid != pid_) return false;
    if (user != ::geteuid() && ::geteuid() != 0) return false;
    char secret[kHexLength];
    if (!readSecret(connection, wakeReceive_, secret) || !isEqualSecret(secret, secret_.data())) return false;
    if (!sendDescriptor(connection, file_)) return false;
    // There is something to read when the receiver has joined, or is gone.
    waitReadable(connection, wakeReceive_, Clock::now() + std::chrono::milliseconds(kJoinWaitMs));
    return true;
  }

  const std::function<void()> onEnd_;
  std::shared_ptr<const Section> section_;
  File file_;
  int64_t pid_ = 0;
  Clock::time_point deadline_;
  std::string secret_;
  std::string place_;
  std::string folder_;
  File listening_;
  File wakeReceive_;
  File wakeSend_;
  Thread thread_;
  std::atomic<bool> ended_{false};
};

/** A descriptor of its own for another process. */
Status openForOther(const Section& section, bool readOnly, File* file) {
  const bool isWritable = section.traits.protection == Protection::readwrite;
  if (readOnly && isWritable) return openAgain(section.file, section.reader, false, file);
  return opened(::fcntl(descriptor(section.file), F_DUPFD_CLOEXEC, 3), "fcntl", file);
}

/** Makes a section of a descriptor that came from elsewhere, if it is what the traits say. */
Outcome adopt(File file, const SectionTraits& traits, Section* section) {
  FileStat stat;
  if (!statFile(file, &stat).ok() || stat.kind != Kind::regular) return refused(Refusal::notHanded);
  // A file may have been truncated meanwhile: that is the guard's. Memory can't be.
  const bool isTooShort = stat.size < traits.start || stat.size - traits.start < traits.size;
  if (traits.backing == Backing::memory && isTooShort) return refused(Refusal::notHanded);
  // Nothing could be mapped there.
  if (traits.start % allocationGranularity() != 0) return refused(Refusal::notHanded);
  const int flags = ::fcntl(descriptor(file), F_GETFL);
  if (flags == -1) return outcome(fail("fcntl"));
  section->traits = traits;
  if ((flags & O_ACCMODE) == O_RDONLY && traits.protection == Protection::readwrite) {
    section->traits.protection = Protection::readonly;
  }
  rejoinName(traits, file, &section->nameUse);
  if (!section->nameUse.isOpen()) section->traits.name.clear();
  section->file = std::move(file);
  return Outcome{};
}

}  // namespace

Status sectionIdentity(const File& handle, std::string* identity) {
  FileStat stat;
  const Status status = statFile(handle, &stat);
  if (status.ok()) *identity = std::to_string(stat.device) + "." + std::to_string(stat.inode);
  return status;
}

Outcome inheritSection(const Section& section, bool readOnly, File* handle) {
  return outcome(openForOther(section, readOnly, handle));
}

namespace {

std::mutex receivedMutex;
/** Descriptors this process was started with and has received: their numbers may be anybody's by now. */
std::set<int64_t>& receivedNumbers() {
  // Never destroyed: workers may end after it.
  static std::set<int64_t>* const numbers = new std::set<int64_t>();
  return *numbers;
}

}  // namespace

Outcome receiveInherited(int64_t number, const SectionTraits& traits, const std::string& identity, Section* section) {
  const std::lock_guard<std::mutex> hold(receivedMutex);
  if (number > INT_MAX || receivedNumbers().count(number) != 0) return refused(Refusal::notHanded);
  // A copy: if the number is another file's, that one stays open for whoever has it.
  File file;
  const Status status = opened(::fcntl(static_cast<int>(number), F_DUPFD_CLOEXEC, 3), "fcntl", &file);
  if (status.number == EBADF) return refused(Refusal::notHanded);
  if (!status.ok()) return outcome(status);
  std::string found;
  if (!sectionIdentity(file, &found).ok() || found != identity) return refused(Refusal::notHanded);
  const Outcome adopted = adopt(std::move(file), traits, section);
  if (adopted.ok()) {
    receivedNumbers().insert(number);
    ::close(static_cast<int>(number));
  }
  return adopted;
}

Outcome handSection(std::shared_ptr<const Section> section, bool readOnly, int64_t pid, uint32_t limitMs, std::function<void()> onEnd,
                    std::unique_ptr<Handing>* handing, std::string* address) {
  File file;
  Status status = openForOther(*section, readOnly, &file);
  if (!status.ok()) return outcome(status);
  auto made = std::make_unique<SocketHanding>(std::move(onEnd));
  status = made->start(std::move(section), std::move(file), pid, limitMs, address);
  if (status.ok()) *handing = std::move(made);
  return outcome(status);
}

Outcome receiveHanded(const std::string& address, const SectionTraits& traits, uint32_t limitMs, Section* section) {
  if (address.size() <= kHexLength + 1 || address[kHexLength] != ':') return refused(Refusal::notHanded);
  const std::string secret = address.substr(0, kHexLength);
  sockaddr_un there;
  socklen_t length = 0;
  if (!socketAddress(address.substr(kHexLength + 1), &there, &length)) return refused(Refusal::notHanded);
  File connection;
  const Status status = openSocket(&connection);
  if (!status.ok()) return outcome(status);
  const Clock::time_point deadline = Clock::now() + std::chrono::milliseconds(limitMs);
  // A sender that is stopped lets connections wait, and when there are too many, connecting, too.
  const timeval limit = {static_cast<time_t>(limitMs / 1000), static_cast<suseconds_t>(limitMs % 1000 * 1000)};
  ::setsockopt(descriptor(connection), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  const auto connect = [&] { return ::connect(descriptor(connection), reinterpret_cast<const sockaddr*>(&there), length); };
  // Nobody listens: received already, timed out, or the sender is gone. Or it does not answer.
  if (retry(connect) == -1) return refused(Refusal::notHanded);
  int64_t pid = 0;
  uid_t user = 0;
  if (!peerOf(connection, &pid, &user)) return refused(Refusal::notHanded);
  if (user != ::geteuid() && user != 0 && ::geteuid() != 0) return refused(Refusal::notHanded);
  const auto send = [&] { return ::send(descriptor(connection), secret.data(), secret.size(), kSendFlags); };
  if (retry(send) != static_cast<ssize_t>(secret.size())) return refused(Refusal::notHanded);
  File file;
  if (!waitReadable(connection, File(), deadline) || !receiveDescriptor(connection, &file)) {
    return refused(Refusal::notHanded);
  }
  const Outcome adopted = adopt(std::move(file), traits, section);
  // A sender that is gone needs no answer.
  ::send(descriptor(connection), &kJoined, 1, kSendFlags);
  return adopted;
}

}  // namespace foliodb::platform
