// Sends one image file to Lotwise's predict service and prints the answer in both units.
//
//   node predict.mjs FILE [host:port] [um_per_px]
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { argv, exit } from "node:process";

import { ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { PredictService } from "./gen/lotwise/v1/predict_pb.js";

const MPA_PER_PSI = 0.006894757293168361;

const [file, address = "127.0.0.1:50051", umPerPx] = argv.slice(2);
if (!file) {
  console.error("usage: node predict.mjs FILE [host:port] [um_per_px]");
  exit(2);
}

const predict = createClient(
  PredictService,
  createGrpcTransport({ baseUrl: `http://${address}` }),
);

try {
  const tile = {
    tileId: basename(file),
    content: { case: "file", value: await readFile(file) },
    // Length of a pixel in micrometres; left out where the file says it.
    umPerPx: umPerPx === undefined ? undefined : Number(umPerPx),
  };
  const answer = await predict.predict({ tile }, { timeoutMs: 60_000 });
  console.log(`${answer.property}: ${inBothUnits(answer.value, answer.unit)}`);
  if (answer.provenance?.models.some((model) => model.trainedOnSimulatedLots)) {
    console.log("The model was trained on simulated lots.");
  }
} catch (error) {
  if (!(error instanceof ConnectError)) throw error;
  console.error(error.rawMessage);
  exit(1);
}

function inBothUnits(value, unit) {
  if (unit !== "psi") return `${value} ${unit}`;
  return `${value.toFixed(0)} psi, ${(value * MPA_PER_PSI).toFixed(2)} MPa`;
}
