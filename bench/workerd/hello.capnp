# The guide's first function on workerd. Start: workerd serve hello.capnp --socket-addr=http=127.0.0.1:PORT
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "hello", worker = .hello)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "hello")],
);

const hello :Workerd.Worker = (
  modules = [(name = "hello", esModule = embed "hello.js")],
  compatibilityDate = "2026-11-01",
);
