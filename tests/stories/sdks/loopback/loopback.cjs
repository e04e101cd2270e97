// Ends the process if it would leave the machine. Node.js runs this before the program.
const { writeSync } = require("node:fs");
const net = require("node:net");

const { connect } = net.Socket.prototype;
const isHere = (host) => host === "localhost" || host === "::1" || /^127(\.\d+){3}$/.test(host);

net.Socket.prototype.connect = function (...given) {
  // From node:http an array with the options, from others the options, or port and host.
  const [options, second] = Array.isArray(given[0]) ? given[0] : given;
  const host = options?.host ?? (typeof second === "string" ? second : "localhost");
  if (!isHere(host)) {
    writeSync(1, `left the machine: ${host}\n`);
    process.exit(99);
  }
  return connect.apply(this, given);
};
