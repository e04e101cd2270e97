// Lambda's runtime for Node in the fewest lines: gets events from the Runtime API, one after another, and returns
// the handler's results.

import { Agent, request } from "node:http";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new Agent({ keepAlive: true });

function call(method, path, body = "") {
  return new Promise((resolve, reject) => {
    const headers = { "content-length": Buffer.byteLength(body) };
    const sent = request({ agent, host, port, method, path: `/2018-06-01/runtime/${path}`, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part) => (text += part));
      response.on("end", () => resolve({ text, id: response.headers["lambda-runtime-aws-request-id"] }));
    });
    sent.on("error", reject).end(body);
  });
}

const failure = (error) => JSON.stringify({ errorMessage: `${error}` });

const { handler } = await import(process.argv[2]).catch(async (error) => {
  await call("POST", "init/error", failure(error));
  process.exit(1);
});
for (;;) {
  const { text, id } = await call("GET", "invocation/next");
  try {
    await call("POST", `invocation/${id}/response`, JSON.stringify(await handler(JSON.parse(text), {})));
  } catch (error) {
    await call("POST", `invocation/${id}/error`, failure(error));
  }
}
