// A command that does what its path names.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#define CHECK(what)                                                          \
  do                                                                         \
    if (!(what)) {                                                           \
      printf("line %d: %s: %s\n", __LINE__, #what, strerror(errno));         \
      return;                                                                \
    }                                                                        \
  while (0)
#define REFUSED(what, number) CHECK((what) == -1 && errno == (number))

static int names(const char *path, char *out) {
  DIR *d = opendir(path);
  if (!d) return -1;
  int n = 0;
  *out = 0;
  for (struct dirent *e; (e = readdir(d)); n++) strcat(strcat(out, e->d_name), " ");
  return closedir(d) ? -1 : n;
}

static void files(void) {
  char text[256], list[1024];
  struct stat st;
  FILE *f = fopen("data.txt", "r"); // of the bundle, by three names
  CHECK(f && fgets(text, sizeof text, f) && !strcmp(text, "from the bundle\n") && !fclose(f));
  CHECK((f = fopen("/app/folder/inner.txt", "r")) && fgets(text, sizeof text, f) && !strcmp(text, "inner") && !fclose(f));
  CHECK(!stat("/data.txt", &st) && S_ISREG(st.st_mode) && st.st_size == 16);
  REFUSED(open("/data.txt", O_RDWR), EROFS);
  REFUSED(open("/new", O_CREAT | O_WRONLY, 0600), EROFS);
  REFUSED(mkdir("/folder/new", 0700), EROFS);
  REFUSED(unlink("/data.txt"), EROFS);
  REFUSED(open("/../etc/passwd", O_RDONLY), EPERM);

  CHECK((f = fopen("/tmp/a", "w+")) && fputs("0123456789", f) >= 0 && !fflush(f));
  CHECK(!fseek(f, 3, SEEK_SET) && fgetc(f) == '3' && ftell(f) == 4);
  CHECK(!fseek(f, -2, SEEK_END) && fgetc(f) == '8' && !fclose(f));
  CHECK((f = fopen("/tmp/a", "a")) && fputs("AB", f) >= 0 && !fclose(f));
  int fd = open("/tmp/a", O_RDWR);
  CHECK(fd > 3 && pread(fd, text, 4, 8) == 4 && !memcmp(text, "89AB", 4));
  CHECK(pwrite(fd, "xy", 2, 20) == 2 && !fstat(fd, &st) && st.st_size == 22);
  CHECK(!ftruncate(fd, 5) && !fstat(fd, &st) && st.st_size == 5 && !ftruncate(fd, 7) && pread(fd, text, 10, 0) == 7 && !text[6]);
  CHECK(!posix_fallocate(fd, 0, 100) && !fstat(fd, &st) && st.st_size == 100 && !fsync(fd));
  REFUSED(ftruncate(fd, 17 << 20), ENOSPC);
  struct timespec times[2] = {{1, 2}, {3, 4}};
  CHECK(!futimens(fd, times) && !fstat(fd, &st) && st.st_atim.tv_sec == 1 && st.st_mtim.tv_nsec == 4 && !close(fd));

  CHECK(!mkdir("/tmp/d", 0700) && !mkdir("/tmp/d/e", 0700));
  REFUSED(mkdir("/tmp/d", 0700), EEXIST);
  CHECK(!rename("/tmp/a", "/tmp/d/e/b") && stat("/tmp/a", &st) == -1 && errno == ENOENT);
  CHECK(!link("/tmp/d/e/b", "/tmp/c") && !stat("/tmp/c", &st) && st.st_nlink == 2);
  CHECK(!symlink("d/e/b", "/tmp/s") && !lstat("/tmp/s", &st) && S_ISLNK(st.st_mode) && !stat("/tmp/s", &st) && S_ISREG(st.st_mode));
  CHECK(readlink("/tmp/s", text, sizeof text) == 5 && !memcmp(text, "d/e/b", 5));
  CHECK(!symlink("/tmp/c", "/tmp/absolute") && !stat("/tmp/absolute", &st) && st.st_size == 100);
  CHECK(!symlink("../../../etc", "/tmp/out"));
  REFUSED(open("/tmp/out", O_RDONLY), EPERM);
  CHECK(!symlink("loop", "/tmp/loop"));
  REFUSED(open("/tmp/loop", O_RDONLY), ELOOP);
  REFUSED(rmdir("/tmp/d"), ENOTEMPTY);
  REFUSED(rmdir("/tmp/c"), ENOTDIR);
  REFUSED(unlink("/tmp/d"), EISDIR);
  REFUSED(rename("/tmp/d", "/tmp/d/e/f"), EINVAL);
  CHECK(names("/tmp", list) == 8);
  CHECK(!unlink("/tmp/d/e/b") && !rmdir("/tmp/d/e") && !rmdir("/tmp/d") && !unlink("/tmp/s") && !unlink("/tmp/c"));
  CHECK(names("/tmp", list) == 5 && names("/", list) == 7 && strstr(list, "data.txt ") && strstr(list, "tmp "));

  for (int i = 0; i < 100; i++) { // folders are read in parts
    snprintf(text, sizeof text, "/tmp/a-file-with-a-rather-long-name-%d", i);
    CHECK((f = fopen(text, "w")) && !fclose(f));
  }
  DIR *d = opendir("/tmp");
  int n = 0;
  for (struct dirent *e; (e = readdir(d));)
    if (!strncmp(e->d_name, "a-file", 6)) {
      snprintf(text, sizeof text, "/tmp/%s", e->d_name);
      CHECK(!unlink(text));
      n++;
    }
  CHECK(n == 100 && !closedir(d));
  printf("ok\n");
}

static void waits(void) {
  struct timespec a, b, pause = {0, 20000000};
  clock_gettime(CLOCK_MONOTONIC, &a);
  CHECK(!nanosleep(&pause, NULL));
  clock_gettime(CLOCK_MONOTONIC, &b);
  CHECK((b.tv_sec - a.tv_sec) * 1000000000ll + b.tv_nsec - a.tv_nsec >= 20000000);
  struct pollfd fds[] = {{.fd = 0, .events = POLLIN}, {.fd = 1, .events = POLLOUT}};
  CHECK(poll(fds, 2, 1000) == 2 && fds[0].revents == POLLIN);
  CHECK(poll(NULL, 0, 5) == 0);
  printf("ok\n");
}

int main(int argc, char **argv) {
  const char *path = getenv("PATH_INFO");
  char buffer[8192];
  size_t n;
  if (!strcmp(path, "/exit")) {
    fprintf(stderr, "it went wrong\n");
    return 3;
  }
  if (!strcmp(path, "/empty")) return 0;
  if (!strcmp(path, "/headless")) return puts("just text") < 0;
  if (!strcmp(path, "/abort")) abort();
  if (!strcmp(path, "/status")) {
    printf("Status: 404 Not Found\r\nContent-Type: text/html\r\nX-Twice: a\r\nX-Twice: b\r\n\r\n<p>no</p>");
    return 0;
  }
  if (!strcmp(path, "/redirect")) return printf("Location: https://example.org/\n\n") < 0;
  printf("Content-Type: text/plain\n\n");
  if (!strcmp(path, "/partial")) {
    printf("so far");
    exit(3);
  }
  if (!strcmp(path, "/echo"))
    while ((n = fread(buffer, 1, sizeof buffer, stdin)) > 0) fwrite(buffer, 1, n, stdout);
  if (!strcmp(path, "/env")) {
    for (int i = 0; i < argc; i++) printf("%s\n", argv[i]);
    for (char **v = environ; *v; v++) printf("%s\n", *v);
  }
  if (!strcmp(path, "/large")) {
    memset(buffer, 'x', sizeof buffer);
    for (int i = atoi(getenv("QUERY_STRING")); i > 0; i--) fwrite(buffer, 1, sizeof buffer, stdout);
  }
  if (!strcmp(path, "/log")) {
    fprintf(stderr, "a line\nand half ");
    fprintf(stderr, "of one\nthe end");
  }
  if (!strcmp(path, "/files")) files();
  if (!strcmp(path, "/waits")) waits();
  return 0;
}
