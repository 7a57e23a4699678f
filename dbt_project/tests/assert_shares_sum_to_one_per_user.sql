{{ config(tags=['audit']) }}

select
    user_id,
    sum(share) as sum_of_shares
from {{ ref('user_genre_affinity') }}
group by user_id
having abs(sum(share) - 1) > 1e-9
