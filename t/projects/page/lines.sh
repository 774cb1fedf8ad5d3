# Lines with pauses in between, so that a viewer sees them come.
for i in 1 2 3 4 5 6 7 8 9 10; do
    echo "line $i"
    sleep 0.05
done
echo "a warning" >&2
printf '10%%\r50%%\r'
sleep 0.3
printf '100%%\n'
printf 'no line end yet ...'
sleep 0.3
echo ' now'
printf '\033[32mgreen\033[0m text\n'
