# Draws the curves of bench/curves.csv as SVG on stdout: gnuplot -c bench/curves.gp bench/curves.csv
csv = ARG1
set terminal svg size 1100,800 font "sans,12" background "white"
set datafile separator ","
set grid
set logscale x
set autoscale xfix
set format x "%.0s%c"
series(name) = sprintf("< grep '^%s,' %s", name, csv)
set multiplot layout 2,2

set title "From the command's end to the last waiter's"
set xlabel "waiters"
set ylabel "ms"
set logscale y
set key inside top left
plot series("local lag ms") using 2:3 with linespoints title "local", \
     series("redis lag ms") using 2:3 with linespoints title "Redis, TCP"

set title "What a caller costs the server"
set ylabel "count"
unset logscale y
set yrange [0:*]
set key inside center right
plot series("redis requests of a caller") using 2:3 with linespoints title "requests", \
     series("redis connections of a caller") using 2:3 with linespoints title "connections", \
     series("redis commands of a caller") using 2:3 with linespoints title "commands", \
     series("redis server time of a caller us") using 2:($3/100) with linespoints title "server time, 100 us"

set title "A hit of 100 bytes among others"
set xlabel "entries"
set ylabel "times /bin/true"
set key inside bottom right
plot series("local hit among entries to true") using 2:3 with linespoints title "local", \
     series("redis hit among entries to true") using 2:3 with linespoints title "Redis, TCP"

set title "A hit by size"
set xlabel "bytes"
set ylabel "ms"
set logscale y
set autoscale y
set key inside top left
plot series("local hit ms by bytes") using 2:3 with linespoints title "local", \
     series("redis hit ms by bytes") using 2:3 with linespoints title "Redis, TCP", \
     series("redis hit MiB resident by bytes") using 2:3 with lines title "its peak memory, MiB"
