// Judges the simulations of a JSON-lines file, one answer a line, in order.
import { createInterface } from 'node:readline'
import { runSimulation } from '@cloud-copilot/iam-simulate'

for await (const line of createInterface({ input: process.stdin })) {
  const outcome = await runSimulation(JSON.parse(line), { simulationMode: 'Strict' })
  const analysis = outcome.result?.analysis
  process.stdout.write(
    JSON.stringify({
      result: outcome.overallResult ?? 'Error',
      errors: outcome.errors,
      ignored: outcome.result?.ignoredContextKeys,
      identity: analysis?.identityAnalysis?.result,
      resource: analysis?.resourceAnalysis?.result,
      boundary: analysis?.permissionBoundaryAnalysis?.result,
      session: analysis?.sessionAnalysis?.result,
    }) + '\n',
  )
}
