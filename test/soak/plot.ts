// The soak as a picture: four panels over time, drawn by echarts without a browser.
import { init } from 'echarts'
import type { Sample } from './samples.ts'

export function plot(samples: readonly Sample[], title: string): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: 1000, height: 860 })
  const minute = (sample: Sample) => Math.round(sample.second / 0.6) / 100
  const points = (pick: (sample: Sample) => number) =>
    samples.filter((sample) => !Number.isNaN(pick(sample))).map((sample) => [minute(sample), pick(sample)])
  const kills = samples.filter(({ killed }) => killed).map((sample) => ({ xAxis: minute(sample) }))
  const panels: readonly Readonly<{ unit: string; lines: readonly (readonly [string, (sample: Sample) => number])[] }>[] = [
    { unit: 'MiB', lines: [['resident memory', ({ rssMiB }) => rssMiB]] },
    { unit: 'MiB', lines: [['disk', ({ diskMiB }) => diskMiB]] },
    {
      unit: 'ms',
      lines: [
        ['acknowledged after, p50', ({ p50Ms }) => p50Ms],
        ['p99', ({ p99Ms }) => p99Ms],
        ['longest turn', ({ gapMs }) => (gapMs === 0 ? Number.NaN : gapMs)],
      ],
    },
    { unit: '1/s', lines: [['acknowledged', ({ acknowledged }) => acknowledged]] },
  ]
  chart.setOption({
    animation: false,
    backgroundColor: '#fff',
    title: { text: title, left: 'center', textStyle: { fontSize: 14 } },
    grid: panels.map((_, i) => ({ left: 80, right: 180, top: 50 + i * 200, height: 150 })),
    xAxis: panels.map((_, i) => ({ type: 'value', gridIndex: i, name: i === panels.length - 1 ? 'minutes' : '' })),
    yAxis: panels.map(({ unit }, i) => ({ type: i === 2 ? 'log' : 'value', gridIndex: i, name: unit })),
    series: panels.flatMap(({ lines }, i) =>
      lines.map(([name, pick], n) => ({
        type: i === 2 && n === 2 ? 'scatter' : 'line',
        name,
        xAxisIndex: i,
        yAxisIndex: i,
        data: i === 2 && n === 2 ? worst(points(pick)) : points(pick),
        sampling: 'lttb',
        showSymbol: false,
        symbolSize: 3,
        lineStyle: { width: 1 },
        endLabel: { show: true, formatter: name },
        ...(n === 0 ? { markLine: { silent: true, symbol: 'none', label: { show: false }, lineStyle: { color: '#bbb' }, data: kills } } : {}),
      })),
    ),
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}

/** More points than this are more than the eye sees: of those that stand together the highest. */
const POINTS = 400

function worst(points: readonly (readonly number[])[]): readonly (readonly number[])[] {
  const together = Math.ceil(points.length / POINTS)
  return points.flatMap((point, i) => {
    const [minute = 0, first = 0] = point
    return i % together === 0 ? [[minute, points.slice(i, i + together).reduce((most, [, value = 0]) => Math.max(most, value), first)]] : []
  })
}
