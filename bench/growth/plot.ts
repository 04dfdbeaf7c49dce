// The table of growth as a picture: for each dimension rate, latency and memory against its size.
import { init } from 'echarts'
import type { Point } from './run.ts'

export function drawGrowth(results: Readonly<Record<string, Readonly<{ what: string; points: readonly Point[] }>>>): string {
  const names = Object.keys(results)
  const columns: readonly (readonly [string, (point: Point) => number])[] = [
    ['per second', ({ perSecond }) => Math.round(perSecond)],
    ['p99, ms', ({ p99Ms }) => p99Ms],
    ['memory, MiB', ({ rssMiB }) => Math.round(rssMiB)],
  ]
  const cells = names.flatMap((name, row) => columns.map(([unit, pick], column) => ({ name, row, column, unit, pick })))
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: 1000, height: 60 + names.length * 190 })
  chart.setOption({
    animation: false,
    backgroundColor: '#fff',
    title: cells
      .filter(({ column }) => column === 0)
      .map(({ name, row }) => ({ text: name, left: 10, top: 8 + row * 190, textStyle: { fontSize: 13 } })),
    grid: cells.map(({ row, column }) => ({ left: 80 + column * 320, width: 220, top: 50 + row * 190, height: 100 })),
    xAxis: cells.map((_, i) => ({ type: 'log', gridIndex: i })),
    yAxis: cells.map(({ unit }, i) => ({ type: 'value', gridIndex: i, name: unit, min: 0 })),
    series: cells.map(({ name, pick }, i) => ({
      type: 'line',
      xAxisIndex: i,
      yAxisIndex: i,
      data: results[name]?.points.map((point) => [point.size, pick(point)]) ?? [],
    })),
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}
